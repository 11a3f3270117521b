//! Who calls: the API key in `X-API-Key` or `Authorization: Bearer`, and what it may do.
//!
//! Keys are looked up in the registry by their hash and compared in constant time. [`Authenticator`] also finds a key that
//! another process made a moment ago, knows the admin key, and notes when keys are used.

mod authenticator;

use std::sync::Arc;

use fanfare_core::api_key::{ApiKey, Scope};
use fanfare_core::ids::ProjectId;
use fanfare_runtime::Registry;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::problem::Problem;

pub use authenticator::{Authenticator, Principal};

/// The header that carries an API key; `Authorization: Bearer` does as well.
pub const API_KEY_HEADER: &str = "x-api-key";

/// An authenticated caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key used.
    pub key: Arc<ApiKey>,
}

impl Caller {
    /// The project that the key belongs to.
    pub fn project(&self) -> &ProjectId {
        &self.key.project
    }

    /// Authenticates a request and requires a scope. A key that the registry has not heard of yet is unknown here;
    /// [`Authenticator`] asks the store first.
    ///
    /// # Errors
    /// 401 without a key or with an unknown one, 403 when the key lacks the scope.
    pub fn authenticate(registry: &Registry, headers: &HeaderMap, scope: Scope) -> Result<Self, Problem> {
        let key = registry.api_key(presented_key(headers)?).ok_or_else(unknown_key)?;
        Self::with_key(key, scope)
    }

    fn with_key(key: Arc<ApiKey>, scope: Scope) -> Result<Self, Problem> {
        if key.scopes.contains(&scope) { Ok(Self { key }) } else { Err(Problem::forbidden(scope)) }
    }
}

/// The text of the key that a request presents.
///
/// # Errors
/// 401 when there is none, when it cannot be a key, or when two different ones are presented: which of them was meant is
/// not ours to guess.
pub fn presented_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut presented: Option<&HeaderValue> = None;
    let mut other_scheme = false;
    for value in headers.get_all(API_KEY_HEADER) {
        if presented.is_some_and(|earlier| earlier != value) {
            return Err(two_keys());
        }
        presented = Some(value);
    }
    let mut key = presented.map(text_of).transpose()?;
    for value in headers.get_all(AUTHORIZATION) {
        match (bearer(text_of(value)?), key) {
            (Some(bearer), Some(earlier)) if bearer != earlier => return Err(two_keys()),
            (Some(bearer), _) => key = Some(bearer),
            (None, _) => other_scheme = true,
        }
    }
    match key {
        Some("") => Err(Problem::unauthorized("the API key is empty")),
        Some(key) => Ok(key),
        None if other_scheme => Err(Problem::unauthorized("use Authorization: Bearer with an API key, or X-API-Key")),
        None => Err(Problem::unauthorized("send an API key in X-API-Key or Authorization: Bearer")),
    }
}

/// What follows the scheme `Bearer`; `None` under another scheme.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

fn text_of(value: &HeaderValue) -> Result<&str, Problem> {
    value.to_str().map_err(|_| unknown_key())
}

fn unknown_key() -> Problem {
    Problem::unauthorized("the API key is not known; it may have been deleted")
}

fn two_keys() -> Problem {
    Problem::unauthorized("two different API keys were sent; send one, in X-API-Key or Authorization: Bearer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(headers: &[(&str, &str)]) -> Result<String, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        presented_key(&map).map(str::to_owned).map_err(|problem| {
            assert_eq!(problem.status, 401);
            problem.detail
        })
    }

    #[test]
    fn either_header_will_do_and_both_if_they_agree() {
        for headers in [
            &[("x-api-key", "k1")][..],
            &[("authorization", "Bearer k1")],
            &[("authorization", "bearer  k1")],
            &[("x-api-key", "k1"), ("authorization", "Bearer k1")],
            &[("x-api-key", "k1"), ("x-api-key", "k1")],
            // A proxy's own credentials are none of ours.
            &[("x-api-key", "k1"), ("authorization", "Basic eDp5")],
        ] {
            assert_eq!(presented(headers).as_deref(), Ok("k1"), "{headers:?}");
        }
    }

    #[test]
    fn what_is_missing_or_ambiguous_is_refused_with_what_to_do() {
        for (headers, says) in [
            (&[][..], "send an API key in X-API-Key or Authorization: Bearer"),
            (&[("authorization", "Basic eDp5")], "use Authorization: Bearer"),
            (&[("authorization", "Bearer")], "is empty"),
            (&[("x-api-key", "")], "is empty"),
            (&[("x-api-key", "k1"), ("authorization", "Bearer k2")], "two different API keys"),
            (&[("x-api-key", "k1"), ("x-api-key", "k2")], "two different API keys"),
            (&[("authorization", "Bearer k1"), ("authorization", "Bearer k2")], "two different API keys"),
        ] {
            let detail = presented(headers).unwrap_err();
            assert!(detail.contains(says), "{headers:?}: {detail}");
            assert!(!detail.contains("k1"), "the key was told: {detail}");
        }
    }
}
