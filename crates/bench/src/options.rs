//! The bench's options.

use std::time::Duration;

/// Which engine is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// `fanfare serve`, one process.
    Embedded,
    /// Processes of each service, NATS and Redis.
    Distributed,
}

/// What is measured of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Throughput, latency, cost.
    Pipeline,
    /// How late deliveries are that fall due together.
    Due,
    /// What a healthy project feels of a hostile one.
    Hostile,
    /// Well receivers among sick ones.
    Isolation,
    /// A well receiver beside one with a long backlog.
    Backlog,
    /// A receiver that serves so many at once.
    Adaptive,
    /// A receiver that is down for minutes.
    Outage,
    /// A webhook with a rate limit.
    Limit,
    /// A gate whose owner is killed again and again.
    Takeover,
}

impl Scenario {
    fn named(name: &str) -> Option<Self> {
        match name {
            "pipeline" => Some(Self::Pipeline),
            "due" => Some(Self::Due),
            "hostile" => Some(Self::Hostile),
            "isolation" => Some(Self::Isolation),
            "backlog" => Some(Self::Backlog),
            "adaptive" => Some(Self::Adaptive),
            "outage" => Some(Self::Outage),
            "limit" => Some(Self::Limit),
            "takeover" => Some(Self::Takeover),
            _ => None,
        }
    }
}

/// How long and how much; each bounded. What is not given is the scenario's own.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Connections of the closed loops.
    pub(crate) connections: usize,
    /// Bytes of an event's data.
    pub(crate) bytes: usize,
    /// What is measured.
    pub(crate) engine: Engine,
    pub(crate) scenario: Scenario,
    /// How many deliveries there are.
    pub(crate) deliveries: Option<usize>,
    /// Messages per second of a hostile producer.
    pub(crate) flood: u32,
    duration: Option<Duration>,
    rate: Option<u32>,
}

const USAGE: &str = "\
usage: cargo xtask bench [SCENARIO] [--engine embedded|distributed] [--seconds 1..300] [--rate 1..5000] [--deliveries 100..1000000]
                         [--connections 1..512] [--bytes 64..65536] [--flood 10..50000]
scenarios
  pipeline    throughput, latency and cost; the default. 10 seconds each; 300 events/s where the rate is steady
  due         200000 deliveries that fall due within a minute, or so many seconds: how late each is
  hostile     a healthy project beside one that floods NATS with 5000 messages a second; distributed. 10 seconds each
  isolation   200 webhooks at 500 events/s; then the same with 80 of them hanging, failing, slow or resetting. 40 seconds each
  backlog     200000 deliveries for one slow receiver, beside a well one at 50 events/s
  adaptive    a receiver that serves 8 at once, then 16, 8 and 4, and answers 429 to more: how many it gets. 25 seconds each
  outage      a receiver that is down for 120 seconds and 20000 deliveries, comes back, then comes and goes
  limit       2000 deliveries for a webhook with a limit of 50 a second
  takeover    4000 deliveries behind a gate whose owner is killed 30 times
defaults: 64 connections, 300 bytes; --scenario NAME is the same as NAME";

impl Options {
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            connections: 64,
            bytes: 300,
            engine: Engine::Embedded,
            scenario: Scenario::Pipeline,
            deliveries: None,
            flood: 5000,
            duration: None,
            rate: None,
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            if let Some(scenario) = Scenario::named(&name) {
                options.scenario = scenario;
                continue;
            }
            let text = arguments.next().unwrap_or_default();
            match (name.as_str(), text.parse::<usize>().ok()) {
                ("--engine", None) if text == "embedded" => options.engine = Engine::Embedded,
                ("--engine", None) if text == "distributed" => options.engine = Engine::Distributed,
                ("--scenario", None) => options.scenario = Scenario::named(&text).ok_or(USAGE)?,
                ("--deliveries", Some(deliveries @ 100..=1_000_000)) => options.deliveries = Some(deliveries),
                ("--seconds", Some(seconds @ 1..=300)) => options.duration = Some(Duration::from_secs(seconds as u64)),
                ("--connections", Some(connections @ 1..=512)) => options.connections = connections,
                ("--bytes", Some(bytes @ 64..=65_536)) => options.bytes = bytes,
                ("--flood", Some(rate @ 10..=50_000)) => options.flood = u32::try_from(rate).unwrap_or(5000),
                ("--rate", Some(rate @ 1..=5000)) => options.rate = u32::try_from(rate).ok(),
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(options)
    }

    /// How long each part of the scenario sends, if not given so many seconds.
    pub(crate) fn duration_or(&self, seconds: u64) -> Duration {
        self.duration.unwrap_or(Duration::from_secs(seconds))
    }

    /// Events per second where the rate is steady, if not given so many.
    pub(crate) fn rate_or(&self, rate: u32) -> u32 {
        self.rate.unwrap_or(rate)
    }
}
