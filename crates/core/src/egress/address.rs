//! Which addresses may be connected to: public unicast, and what the operator allows a project.
//!
//! An address is judged by where its packets end up: an IPv4 address in one of its IPv6 forms is judged as the IPv4
//! address. Names and URLs are [`super::url`]'s business.

mod blocks;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use blocks::{GLOBAL_UNICAST, NOT_GLOBAL_UNICAST, TRANSLATED, V4, V6};

/// Why an address may not be connected to: the special-purpose block it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{block} is not a public address ({name})")]
pub struct AddressRefusal {
    /// The block, such as `10.0.0.0/8`.
    pub block: &'static str,
    /// Its name in the IANA registry, such as `Private-Use`.
    pub name: &'static str,
}

/// Why a connection to an address may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectRefusal {
    /// The address is neither public unicast nor an exception.
    #[error(transparent)]
    Address(#[from] AddressRefusal),
    /// The request is plain http and the address is no exception.
    #[error("plain http is allowed only to addresses that the operator allows the project; use https")]
    PlainHttp,
}

/// Checks an address against the special-purpose registries alone.
///
/// All of their blocks are refused, the globally reachable ones too: no webhook lives on an anycast service of the
/// network itself. Of IPv6 only what IANA allots as global unicast (2000::/3) can be public.
///
/// # Errors
/// When it is not public unicast.
pub fn check_public(address: IpAddr) -> Result<(), AddressRefusal> {
    match address {
        IpAddr::V4(address) => check_public_v4(address),
        IpAddr::V6(address) => check_public_v6(address),
    }
}

fn check_public_v4(address: Ipv4Addr) -> Result<(), AddressRefusal> {
    V4.iter().find(|block| block.network.contains(&address)).map_or(Ok(()), |block| Err(block.refusal))
}

fn check_public_v6(address: Ipv6Addr) -> Result<(), AddressRefusal> {
    if let Some(embedded) = address.to_ipv4_mapped().or_else(|| translated(address)) {
        return check_public_v4(embedded);
    }
    if let Some(block) = V6.iter().find(|block| block.network.contains(&address)) {
        return Err(block.refusal);
    }
    if GLOBAL_UNICAST.contains(&address) { Ok(()) } else { Err(NOT_GLOBAL_UNICAST) }
}

/// The IPv4 address that a NAT64 gateway sends to (RFC 6052, the well-known prefix).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    TRANSLATED.contains(&address).then_some(Ipv4Addr::new(a, b, c, d))
}

/// What a project's webhooks may connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct EgressPolicy {
    allow: Arc<[IpNet]>,
}

impl EgressPolicy {
    /// Public unicast, and these networks too. A network of IPv4-mapped addresses (`::ffff:10.0.0.0/104`) is the IPv4
    /// network.
    pub fn new(allow: &[IpNet]) -> Self {
        Self { allow: allow.iter().map(|network| unmapped(*network)).collect() }
    }

    /// Whether the operator allows this address although it may not be public; http is allowed there too.
    ///
    /// An IPv4-mapped address is an exception exactly when the IPv4 address is: it is the same host.
    pub fn is_exception(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.iter().any(|network| network.contains(&address))
    }

    /// Whether there are exceptions at all.
    pub fn has_exceptions(&self) -> bool {
        !self.allow.is_empty()
    }

    /// Whether names for this machine (`localhost`) may be used: only if the operator allows an address that they have.
    pub fn allows_loopback(&self) -> bool {
        self.is_exception(Ipv4Addr::LOCALHOST.into()) || self.is_exception(Ipv6Addr::LOCALHOST.into())
    }

    /// Checks an address.
    ///
    /// # Errors
    /// When it is neither public unicast nor an exception.
    pub fn check(&self, address: IpAddr) -> Result<(), AddressRefusal> {
        if self.is_exception(address) { Ok(()) } else { check_public(address) }
    }

    /// Checks an address right before connecting to it, `http` telling that the request is plain http. For every
    /// address that a name resolved to, on every connection: a name can resolve to something else each time.
    ///
    /// # Errors
    /// When it is neither public unicast nor an exception, or plain http and no exception.
    pub fn check_connect(&self, address: IpAddr, http: bool) -> Result<(), ConnectRefusal> {
        self.check(address)?;
        if http && !self.is_exception(address) { Err(ConnectRefusal::PlainHttp) } else { Ok(()) }
    }
}

fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let prefix = v6.prefix_len().checked_sub(96);
    match (v6.network().to_ipv4_mapped(), prefix) {
        (Some(address), Some(prefix)) => Ipv4Net::new(address, prefix).map_or(network, IpNet::V4),
        (None, _) | (_, None) => network,
    }
}
