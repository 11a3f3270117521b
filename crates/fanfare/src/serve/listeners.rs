//! The two listening sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use super::roles::Roles;
use crate::config::Config;
use crate::report::Report;

/// The sockets, bound; connections wait in their backlogs until they are served.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// The API's, if this process answers its clients.
    pub(crate) api: Option<TcpListener>,
    /// That of metrics and health.
    pub(crate) admin: TcpListener,
}

impl Listeners {
    /// Binds what the configuration says.
    ///
    /// # Errors
    /// When an address cannot be bound; the report names it and its option.
    pub(crate) async fn bind(config: &Config, roles: Roles) -> Result<Self, Report> {
        let api = if roles.has_api() { Some(bind("listen", config.listen).await?) } else { None };
        Ok(Self { api, admin: bind("admin_listen", config.admin_listen).await? })
    }
}

/// Binds the address of an option.
///
/// # Errors
/// When it cannot be bound; the report names it and its option.
pub(crate) async fn bind(option: &str, address: SocketAddr) -> Result<TcpListener, Report> {
    TcpListener::bind(address).await.map_err(|error| {
        let report = Report::because(format_args!("cannot listen on {address} (option {option})"), &error);
        let variable = option.to_ascii_uppercase();
        match error.kind() {
            io::ErrorKind::AddrInUse => report.advise(format!(
                "another process listens there: stop it, or set {option} (FANFARE_{variable}) to another address"
            )),
            _ => report.advise(format!("set {option} (FANFARE_{variable}) to an address of this machine")),
        }
    })
}

/// Binds the address of an option, or any free port of this machine where it is taken.
///
/// # Errors
/// When not even that works.
pub(crate) async fn bind_or_any(option: &str, address: SocketAddr) -> Result<TcpListener, Report> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(_) => bind(option, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_address_is_named_with_its_option() {
        let taken = bind("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = taken.local_addr().unwrap();
        let report = bind("admin_listen", address).await.unwrap_err().to_string();
        assert!(report.contains(&format!("cannot listen on {address} (option admin_listen)")), "{report}");
        assert!(report.contains("FANFARE_ADMIN_LISTEN"), "{report}");
        assert_ne!(bind_or_any("listen", address).await.unwrap().local_addr().unwrap(), address);
    }
}
