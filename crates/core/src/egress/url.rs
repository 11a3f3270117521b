//! Which URLs a webhook may have.
//!
//! `raw` looks at the text as it was written, since a URL parser forgives what must not be forgiven here: it drops
//! line breaks, turns backslashes round and reads `0x7f.1` as an address. What a name resolves to is judged when it is
//! connected to, by [`EgressPolicy::check_connect`].

mod names;
mod raw;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ::url::{Host, ParseError, Url};

use super::EgressPolicy;
use super::address::ConnectRefusal;
use raw::RawHost;

/// The most bytes of a URL, as written and in its normal form.
pub const MAX_URL_BYTES: usize = 2048;

/// A webhook's URL: http or https, a host that is a name or an address, no credentials, no fragment.
///
/// Which addresses and whether http are allowed depends on the project: [`WebhookUrl::check`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WebhookUrl(Url);

/// Why a text is not a URL that a webhook may have; lowercase, no final period, says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUrl(pub String);

impl InvalidUrl {
    fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl WebhookUrl {
    /// Parses and checks everything that does not depend on the project.
    ///
    /// # Errors
    /// When it is not such a URL.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let too_long = || InvalidUrl(format!("a webhook url has at most {MAX_URL_BYTES} bytes"));
        if text.len() > MAX_URL_BYTES {
            return Err(too_long());
        }
        let written = raw::host(text)?;
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::InvalidIpv4Address => raw::odd_address(),
            other => InvalidUrl(format!("not a url: {other}")),
        })?;
        check_host(written, url.host())?;
        // What is not ASCII becomes longer, and what is stored must be readable again.
        if url.as_str().len() > MAX_URL_BYTES { Err(too_long()) } else { Ok(Self(url)) }
    }

    /// Checks it against what the project's webhooks may connect to: scheme, reserved names, and the address if the host is one.
    ///
    /// Where the project has exceptions, http and local names pass with any name here: which addresses the name has is
    /// only known, and then judged, on connecting.
    ///
    /// # Errors
    /// When the project's webhooks may not have it.
    pub fn check(&self, policy: &EgressPolicy) -> Result<(), InvalidUrl> {
        match self.address() {
            Some(address) => policy.check_connect(address, self.is_http()).map_err(|refusal| match refusal {
                ConnectRefusal::Address(_) => InvalidUrl(format!("{address} is not allowed: {refusal}")),
                ConnectRefusal::PlainHttp => InvalidUrl(refusal.to_string()),
            }),
            None if self.is_http() && !policy.has_exceptions() => {
                Err(InvalidUrl::because("plain http is not allowed; use https"))
            }
            None => names::check(self.host(), policy),
        }
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self.0.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        }
    }

    /// The host as it is resolved or connected to: a name in its ASCII form, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, the scheme's own if none is given.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// Whether it is plain http.
    pub fn is_http(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The parsed URL.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The text in its normal form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Compares the host as written with what was read from it: an address must have been written plainly, a name must be
/// one that can be resolved.
fn check_host(written: RawHost<'_>, read: Option<Host<&str>>) -> Result<(), InvalidUrl> {
    match (written, read) {
        (RawHost::Plain(_), Some(Host::Domain(name))) => names::check_form(name),
        (RawHost::Plain(text), Some(Host::Ipv4(address))) if text == address.to_string() => Ok(()),
        (RawHost::Bracketed(text), Some(Host::Ipv6(address))) if text.parse::<Ipv6Addr>() == Ok(address) => Ok(()),
        (RawHost::Plain(_), Some(Host::Ipv4(_))) => Err(raw::odd_address()),
        (RawHost::Plain(_), Some(Host::Ipv6(_)) | None)
        | (RawHost::Bracketed(_), Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) | None) => Err(
            InvalidUrl::because("the host of a webhook url is a name, an ipv4 address, or an ipv6 address in brackets"),
        ),
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

impl serde::Serialize for WebhookUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for WebhookUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
