//! The bench's options.

use std::time::Duration;

/// Which engine is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// `fanfare serve`, one process.
    Embedded,
    /// One process of each service, NATS and Redis.
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
}

/// How long and how much; each bounded.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How long each scenario sends.
    pub(crate) duration: Duration,
    /// Connections of the closed loops.
    pub(crate) connections: usize,
    /// Bytes of an event's data.
    pub(crate) bytes: usize,
    /// Events per second of the open loop.
    pub(crate) rate: u32,
    /// What is measured.
    pub(crate) engine: Engine,
    pub(crate) scenario: Scenario,
    /// How many deliveries fall due within a minute.
    pub(crate) deliveries: usize,
    /// Messages per second of a hostile producer.
    pub(crate) flood: u32,
}

const USAGE: &str = "\
usage: cargo xtask bench [--engine embedded|distributed] [--seconds 1..60] [--connections 1..512] [--bytes 64..65536] [--rate 1..5000]
       cargo xtask bench --scenario due [--engine embedded|distributed] [--deliveries 100..1000000]
       cargo xtask bench --scenario hostile --engine distributed [--seconds 1..60] [--bytes 64..65536] [--flood 10..50000]
defaults: 10 seconds a scenario, 64 connections, 300 bytes, 300 events/s; 200000 deliveries due within a minute; 5000 hostile
messages/s";

impl Options {
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            duration: Duration::from_secs(10),
            connections: 64,
            bytes: 300,
            rate: 300,
            engine: Engine::Embedded,
            scenario: Scenario::Pipeline,
            deliveries: 200_000,
            flood: 5000,
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let text = arguments.next().unwrap_or_default();
            match (name.as_str(), text.parse::<usize>().ok()) {
                ("--engine", None) if text == "embedded" => options.engine = Engine::Embedded,
                ("--engine", None) if text == "distributed" => options.engine = Engine::Distributed,
                ("--scenario", None) if text == "due" => options.scenario = Scenario::Due,
                ("--scenario", None) if text == "hostile" => options.scenario = Scenario::Hostile,
                ("--flood", Some(rate @ 10..=50_000)) => options.flood = u32::try_from(rate).unwrap_or(5000),
                ("--deliveries", Some(deliveries @ 100..=1_000_000)) => options.deliveries = deliveries,
                ("--seconds", Some(seconds @ 1..=60)) => options.duration = Duration::from_secs(seconds as u64),
                ("--connections", Some(connections @ 1..=512)) => options.connections = connections,
                ("--bytes", Some(bytes @ 64..=65_536)) => options.bytes = bytes,
                ("--rate", Some(rate @ 1..=5000)) => options.rate = u32::try_from(rate).unwrap_or(300),
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(options)
    }
}
