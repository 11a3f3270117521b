//! Which addresses may be connected to: public unicast, and what the operator allows a project.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// Why an address may not be connected to: the special-purpose block it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{block} is not a public address ({name})")]
pub struct AddressRefusal {
    /// The block, such as `10.0.0.0/8`.
    pub block: &'static str,
    /// Its name in the IANA registry, such as `Private-Use`.
    pub name: &'static str,
}

/// Checks an address against the special-purpose registries alone.
///
/// # Errors
/// When it is not public unicast.
pub fn check_public(address: IpAddr) -> Result<(), AddressRefusal> {
    let _ = address;
    todo!()
}

/// What a project's webhooks may connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct EgressPolicy {
    allow: Arc<[IpNet]>,
}

impl EgressPolicy {
    /// Public unicast, and these networks too.
    pub fn new(allow: &[IpNet]) -> Self {
        Self { allow: allow.into() }
    }

    /// Whether the operator allows this address although it may not be public; http is allowed there too.
    pub fn is_exception(&self, address: IpAddr) -> bool {
        let _ = address;
        todo!()
    }

    /// Whether there are exceptions at all.
    pub fn has_exceptions(&self) -> bool {
        !self.allow.is_empty()
    }

    /// Checks an address.
    ///
    /// # Errors
    /// When it is neither public unicast nor an exception.
    pub fn check(&self, address: IpAddr) -> Result<(), AddressRefusal> {
        let _ = address;
        todo!()
    }
}
