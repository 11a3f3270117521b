//! Receivers that keep a log of every request, from which the scenarios read what they want to know afterwards.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::Failure;
use crate::rig::{Answer, Got, Rig, number};

/// One request, as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Microseconds of [`now`](crate::process::now).
    pub(crate) at: u64,
    /// The event's number.
    pub(crate) number: usize,
    pub(crate) receiver: usize,
    /// How many requests its receiver had at once, this one included.
    pub(crate) at_once: usize,
    pub(crate) answer: Answer,
}

impl Arrival {
    /// Whether it was taken.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self.answer, Answer::Now(200) | Answer::After(_, 200))
    }
}

/// Running receivers.
#[derive(Debug)]
pub(crate) struct Receivers {
    rig: Rig,
    log: Arc<Log>,
}

#[derive(Debug)]
struct Log {
    arrivals: Mutex<Vec<Arrival>>,
    /// How many of them were taken.
    taken: watch::Sender<usize>,
}

impl Receivers {
    /// Starts so many, which answer as the script says.
    pub(crate) async fn start(
        receivers: usize,
        script: impl Fn(&Got<'_>) -> Answer + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let log = Arc::new(Log { arrivals: Mutex::default(), taken: watch::Sender::new(0) });
        let writing = Arc::clone(&log);
        let rig = Rig::start(receivers, move |got| {
            let answer = script(got);
            if let Some(number) = number(got.body) {
                let (receiver, at_once) = (got.receiver, got.at_once);
                let arrival = Arrival { at: got.at, number, receiver, at_once, answer };
                writing.arrivals.lock().push(arrival);
                if arrival.is_taken() {
                    writing.taken.send_modify(|taken| *taken += 1);
                }
            }
            answer
        });
        Ok(Self { rig: rig.await?, log })
    }

    /// Starts one that takes everything at once.
    pub(crate) async fn well() -> Result<Self, Failure> {
        Self::start(1, |_| Answer::Now(200)).await
    }

    /// Where one of them is.
    pub(crate) fn url(&self, receiver: usize) -> String {
        format!("http://{}/{receiver}", self.address(receiver))
    }

    pub(crate) fn address(&self, receiver: usize) -> SocketAddr {
        self.rig.addresses[receiver]
    }

    /// How many requests have been taken since the last reset.
    pub(crate) fn taken(&self) -> usize {
        *self.log.taken.borrow()
    }

    /// Every request since the last reset, in order of arrival.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.log.arrivals.lock().clone()
    }

    /// When each event arrived first, by its number; 0 if it has not.
    pub(crate) fn first_arrivals(&self) -> Vec<u64> {
        let mut first = Vec::new();
        for arrival in self.log.arrivals.lock().iter() {
            if first.len() <= arrival.number {
                first.resize(arrival.number + 1, 0);
            }
            if first[arrival.number] == 0 {
                first[arrival.number] = arrival.at;
            }
        }
        first
    }

    /// Forgets everything; call it while nothing is on its way.
    pub(crate) fn reset(&self) {
        self.log.arrivals.lock().clear();
        self.log.taken.send_replace(0);
    }

    /// Waits until so many requests have been taken.
    pub(crate) async fn wait_for(&self, count: usize) {
        // Its sender lives as long as this.
        let _ = self.log.taken.subscribe().wait_for(|taken| *taken >= count).await;
    }
}
