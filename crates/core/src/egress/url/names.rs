//! Host names: which can be resolved at all, and which stand for something local and so are no webhook's.

use super::{EgressPolicy, InvalidUrl, raw};

/// The most bytes of a name, its last dot aside (RFC 1035, section 2.3.4).
const MAX_NAME_BYTES: usize = 253;
/// The most bytes of one label of it.
const MAX_LABEL_BYTES: usize = 63;

/// The name of this machine, with all below it (RFC 6761, section 6.3).
const LOOPBACK: &str = "localhost";
/// Names that only local networks resolve: reserved for that (`local` RFC 6762, `home.arpa` RFC 8375, `internal` by ICANN
/// in 2024, cloud metadata services too), or used so in practice (RFC 6762, appendix G).
const LOCAL: [&str; 9] =
    ["local", "home.arpa", "internal", "intranet", "private", "corp", "home", "lan", "localdomain"];

/// Checks that a name in its ASCII form can be looked up.
///
/// # Errors
/// When the name or one of its labels is empty or too long, or would be read as a number by resolvers.
pub(super) fn check_form(name: &str) -> Result<(), InvalidUrl> {
    let plain = without_last_dot(name);
    if plain.len() > MAX_NAME_BYTES || plain.split('.').any(|label| label.is_empty() || label.len() > MAX_LABEL_BYTES) {
        return Err(InvalidUrl(format!(
            "the host of a webhook url has labels of 1 to {MAX_LABEL_BYTES} bytes and at most {MAX_NAME_BYTES} in all"
        )));
    }
    // The C library's resolver takes such a name for an address (`inet_aton`), whatever the URL parser said.
    let last = plain.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if numeric { Err(raw::odd_address()) } else { Ok(()) }
}

/// Checks a name against what the project's webhooks may connect to.
///
/// # Errors
/// When the name stands for this machine and the project has no exception for it, or is a local one and the project has no
/// exceptions at all.
pub(super) fn check(name: &str, policy: &EgressPolicy) -> Result<(), InvalidUrl> {
    let plain = without_last_dot(name);
    if is_or_is_below(plain, LOOPBACK) {
        let reason = "localhost is this machine; webhooks may use it only where the operator allows its address";
        return if policy.allows_loopback() { Ok(()) } else { Err(InvalidUrl::because(reason)) };
    }
    let local = !plain.contains('.') || LOCAL.iter().any(|suffix| is_or_is_below(plain, suffix));
    if local && !policy.has_exceptions() {
        return Err(InvalidUrl(format!("{plain} is a name of local networks; a webhook url has a public name")));
    }
    Ok(())
}

/// `example.com.` is the same name as `example.com`.
fn without_last_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn is_or_is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|above| above.is_empty() || above.ends_with('.'))
}
