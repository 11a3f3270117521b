//! What tests share: a manual clock, receivers that misbehave, a process runner, and the conformance suite that every
//! engine passes.

pub mod authority;
pub mod clock;
pub mod conformance;
pub mod contract;
pub mod hostile;
pub mod nats;
pub mod process;
pub mod prometheus;
pub mod receiver;
pub mod redis;
mod server;

pub use authority::{Authority, CertificateFiles};
pub use clock::ManualClock;
pub use contract::{Contract, Exchange};
pub use nats::{NatsCluster, NatsOperator, NatsServer, RawProducer};
pub use process::{ClusterServers, Engine, Fanfare, Servers};
pub use prometheus::Prometheus;
pub use receiver::{Received, Receiver, Reply};
pub use redis::{RedisCluster, RedisSentinels, RedisServer};
