//! `fanfare healthcheck`: asks the admin listener of the process beside it whether it is ready, and ends with 0 if it is, else
//! with 1. Images without a shell have nothing else to ask with.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::HealthcheckArgs;
use crate::config::{self, ProcessEnvironment, Setting};
use crate::report::Report;

/// How long the process may take to answer: it does so from memory, whatever else it does.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks once.
///
/// # Errors
/// When the process is not ready, or does not answer. The exit code is 1 in either case, and when the configuration is
/// wrong: Docker keeps the others for itself.
pub(crate) async fn healthcheck(args: HealthcheckArgs) -> Result<ExitCode, Report> {
    let settings = args.admin_listen.map(|text| Setting::flag("--admin-listen", "admin_listen", text));
    let config = config::effective(args.config, &ProcessEnvironment, settings.into_iter().collect());
    let config = config.map_err(|problems| Report::new(format!("the configuration is wrong\n{problems}")))?.config;
    let url = format!("http://{}/readyz", here(config.admin_listen));
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
    let client = client.map_err(|error| Report::because("cannot set an HTTP client up", &error))?;
    let asking = async {
        let answer = client.get(&url).send().await?;
        Ok((answer.status(), answer.text().await?))
    };
    let (status, body) =
        asking.await.map_err(|error: reqwest::Error| Report::because(format_args!("{url} does not answer"), &error))?;
    if !status.is_success() {
        return Err(Report::new(format!("not ready: {url} answers {status}: {body}")));
    }
    // Whoever asked may look at the exit code alone.
    let _ = writeln!(std::io::stdout(), "{body}");
    Ok(ExitCode::SUCCESS)
}

/// Where a process on this machine is reached that listens there: one that listens on all addresses is on loopback too.
fn here(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
        _ => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(address, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("10.0.0.1:9091", "10.0.0.1:9091"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(here(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
