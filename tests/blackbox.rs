//! Black-box tests of the built binary: its own process, real sockets, receivers on loopback. `cargo xtask test` builds the
//! binary and names it in `FANFARE_BIN`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that meets what it did not expect has failed")]

/// Runs each of these tests once on either engine.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(fanfare_testkit::Engine::Embedded).await;
                }
            )*
        }
        mod distributed {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(fanfare_testkit::Engine::Distributed).await;
                }
            )*
        }
    };
}
pub(crate) use on_both_engines;

#[path = "blackbox/accounts.rs"]
mod accounts;
#[path = "blackbox/attributes.rs"]
mod attributes;
#[path = "blackbox/bad_input.rs"]
mod bad_input;
#[path = "blackbox/cluster.rs"]
mod cluster;
#[path = "blackbox/compose.rs"]
mod compose;
#[path = "blackbox/config.rs"]
mod config;
#[path = "blackbox/crash.rs"]
mod crash;
#[path = "blackbox/delivery.rs"]
mod delivery;
#[path = "blackbox/direct.rs"]
mod direct;
#[path = "blackbox/direct_hostile.rs"]
mod direct_hostile;
#[path = "blackbox/due_together.rs"]
mod due_together;
#[path = "blackbox/events.rs"]
mod events;
#[path = "blackbox/expiry.rs"]
mod expiry;
#[path = "blackbox/filters.rs"]
mod filters;
#[path = "blackbox/floods.rs"]
mod floods;
#[path = "blackbox/healthcheck.rs"]
mod healthcheck;
#[path = "blackbox/high_water.rs"]
mod high_water;
#[path = "blackbox/hostile.rs"]
mod hostile;
#[path = "blackbox/isolation.rs"]
mod isolation;
#[path = "blackbox/isolation_gates.rs"]
mod isolation_gates;
#[path = "blackbox/isolation_takeover.rs"]
mod isolation_takeover;
#[path = "blackbox/just_created.rs"]
mod just_created;
#[path = "blackbox/kapso.rs"]
mod kapso;
#[path = "blackbox/lifecycle.rs"]
mod lifecycle;
#[path = "blackbox/load.rs"]
mod load;
#[path = "blackbox/openapi.rs"]
mod openapi;
#[path = "blackbox/operational.rs"]
mod operational;
#[path = "blackbox/order.rs"]
mod order;
#[path = "blackbox/producers.rs"]
mod producers;
#[path = "blackbox/projects.rs"]
mod projects;
#[path = "blackbox/publishing.rs"]
mod publishing;
#[path = "blackbox/readiness.rs"]
mod readiness;
#[path = "blackbox/receivers.rs"]
mod receivers;
#[path = "blackbox/redis.rs"]
mod redis;
#[path = "blackbox/rolling.rs"]
mod rolling;
#[path = "blackbox/rotation.rs"]
mod rotation;
#[path = "blackbox/same_ids.rs"]
mod same_ids;
#[path = "blackbox/samples.rs"]
mod samples;
#[path = "blackbox/services.rs"]
mod services;
#[path = "blackbox/strict.rs"]
mod strict;
#[path = "blackbox/takeover.rs"]
mod takeover;
#[path = "blackbox/upgrade.rs"]
mod upgrade;
#[path = "blackbox/weather.rs"]
mod weather;
