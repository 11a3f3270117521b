//! A URL's text before it is parsed: what a URL parser would drop, turn into something else, or read generously, and
//! where the host stands in it.

use super::InvalidUrl;

/// The host as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawHost<'a> {
    /// A name or an IPv4 address.
    Plain(&'a str),
    /// What stands in brackets: an IPv6 address.
    Bracketed(&'a str),
}

/// Checks the text and finds its host.
///
/// # Errors
/// When the scheme is another one than http or https, the text has credentials, a fragment, a character that a parser
/// would drop or turn round, no host, a host with an escape, or a port that is none.
pub(super) fn host(text: &str) -> Result<RawHost<'_>, InvalidUrl> {
    if text.chars().any(|character| character.is_whitespace() || character.is_control() || character == '\\') {
        return Err(InvalidUrl::because("a webhook url has no spaces, control characters or backslashes"));
    }
    let (scheme, after) = text.split_once("://").unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(InvalidUrl::because("a webhook url begins with https://, or http:// where the operator allows it"));
    }
    if text.contains('#') {
        return Err(InvalidUrl::because("a webhook url has no fragment (# and what follows): it would not be sent"));
    }
    let authority = after.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(InvalidUrl::because("a webhook url has no user or password; use a header of the webhook instead"));
    }
    let (host, port) = split_port(authority)?;
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return Err(InvalidUrl::because(
            "the port of a webhook url is a number from 1 to 65535; an ipv6 address stands in brackets",
        ));
    }
    match host {
        RawHost::Plain("") => Err(InvalidUrl::because("a webhook url has a host right after the two slashes")),
        RawHost::Plain(name) if name.contains('%') => {
            Err(InvalidUrl::because("the host of a webhook url has no percent-encoded characters"))
        }
        RawHost::Bracketed(address) if address.contains('%') => {
            Err(InvalidUrl::because("an ipv6 address in a webhook url has no zone id (% and what follows)"))
        }
        RawHost::Plain(_) | RawHost::Bracketed(_) => Ok(host),
    }
}

/// What is said of `2130706433`, `0x7f.1`, `0177.0.0.1`, `127.1` and the like.
pub(super) fn odd_address() -> InvalidUrl {
    InvalidUrl::because(
        "the host of a webhook url reads as an ipv4 address in an unusual spelling; write it as four decimal numbers \
         such as 192.0.2.1",
    )
}

/// The host, and what follows it up to the path: nothing, or a colon and the port.
fn split_port(authority: &str) -> Result<(RawHost<'_>, &str), InvalidUrl> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let split = bracketed.split_once(']');
        let (address, port) = split.ok_or_else(|| InvalidUrl::because("a bracket in a webhook url is not closed"))?;
        return Ok((RawHost::Bracketed(address), port));
    }
    let (name, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
    Ok((RawHost::Plain(name), port))
}

fn is_port(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|port| port > 0)
}
