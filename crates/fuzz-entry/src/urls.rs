//! Webhooks' URLs, and what they may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fanfare_core::egress::{EgressPolicy, WebhookUrl};
use url::Url;

/// A URL that is read has a normal form that reads the same and hides nothing; one that the guard passes names no address but
/// a public one, in whichever notation.
pub(crate) fn url(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(parsed) = WebhookUrl::parse(text) else { return false };
    let again = WebhookUrl::parse(parsed.as_str()).expect("what is stored can be read");
    assert_eq!(again.as_str(), parsed.as_str());
    let url = Url::parse(parsed.as_str()).expect("it is a URL");
    assert!(["http", "https"].contains(&url.scheme()));
    assert!(url.username().is_empty() && url.password().is_none(), "it has credentials");
    assert_eq!(url.host_str(), Some(parsed.host()));

    let nobodys = EgressPolicy::default();
    if parsed.check(&nobodys).is_err() {
        return false;
    }
    assert!(!parsed.is_http(), "plain http passes");
    match parsed.address() {
        Some(address) => assert!(is_public(address), "{address} passes"),
        // What a resolver would take for an address is one.
        None => {
            let last = parsed.host().trim_end_matches('.').rsplit('.').next().unwrap_or_default();
            let hex = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(
                !last.is_empty() && !hex && !last.bytes().all(|byte| byte.is_ascii_digit()),
                "{parsed:?} is a number"
            );
            assert!(parsed.host().parse::<IpAddr>().is_err(), "{parsed:?} is an address");
            assert_ne!(last, "localhost");
        }
    }
    true
}

/// Less than the guard asks, said in another way.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => {
            let inside = |address: Ipv6Addr| address.to_ipv4().is_none_or(v4);
            !address.is_loopback()
                && !address.is_unspecified()
                && !address.is_multicast()
                && !address.is_unique_local()
                && !address.is_unicast_link_local()
                && inside(address)
        }
    }
}

fn v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    !address.is_private()
        && !address.is_loopback()
        && !address.is_link_local()
        && !address.is_unspecified()
        && !address.is_broadcast()
        && !address.is_multicast()
        && !address.is_documentation()
        && first != 0
        && !(first == 100 && (64..128).contains(&second))
}
