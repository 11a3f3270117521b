//! A webhook is subscribed from the moment in which its creation is answered, in one process on the embedded engine, and on the
//! distributed one whichever processes are asked.

use std::collections::HashSet;

use fanfare_testkit::{Fanfare, Receiver, Reply, Servers};
use serde_json::json;

/// The least number of webhooks.
const LEAST: usize = 1000;
/// So many are enough for either fan-out to have got its share of the work.
const MOST: usize = 5000;

/// A short time, so that the fan-outs share the work soon.
const QUICK: [(&str, &str); 1] = [("FANFARE_DISTRIBUTED_PARTITION_LEASE", "1s")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_used_at_once_through_one_process_misses_nothing() {
    let fanfare = Fanfare::start(&[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let mut rounds = Rounds::default();
    while rounds.done < LEAST {
        rounds.next(&fanfare, &fanfare, &receiver).await;
    }
    rounds.all_arrive(&receiver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_used_at_once_through_other_processes_misses_nothing() {
    let servers = Servers::start().await;
    let (mut consoles, mut ingests, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2 {
        consoles.push(Fanfare::start_role("console", &servers, &QUICK).await);
        ingests.push(Fanfare::start_role("ingest", &servers, &QUICK).await);
        others.push(Fanfare::start_role("fanout", &servers, &QUICK).await);
    }
    others.push(Fanfare::start_role("delivery", &servers, &QUICK).await);
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let mut rounds = Rounds::default();
    while rounds.done < LEAST || !both_have_worked(&others[..2]).await {
        let round = rounds.done;
        assert!(round < MOST, "one of the fan-outs has nothing to do");
        // Another pair each time, and another subject: another partition, and so either fan-out.
        rounds.next(&consoles[round % 2], &ingests[round / 2 % 2], &receiver).await;
    }
    rounds.all_arrive(&receiver).await;
}

/// Webhooks, each of a type of its own, of which one event is published as soon as the answer to its creation has been read.
#[derive(Default)]
struct Rounds {
    done: usize,
}

impl Rounds {
    async fn next(&mut self, console: &Fanfare, ingest: &Fanfare, receiver: &Receiver) {
        let round = self.done;
        let event_type = format!("round.n{round}");
        let event = json!({"type": event_type, "subject": format!("s{round}"), "data": {}});
        console.create_webhook(json!({"url": receiver.url(&format!("/{round}")), "events": [event_type]})).await;
        ingest.publish(event).await;
        self.done += 1;
    }

    async fn all_arrive(self, receiver: &Receiver) {
        let all_there = |requests: &[fanfare_testkit::Received]| {
            requests.len() >= self.done && {
                let paths: HashSet<_> = requests.iter().map(|request| request.path.clone()).collect();
                (0..self.done).all(|round| paths.contains(&format!("/{round}")))
            }
        };
        let requests = receiver.until("an event at each of the webhooks", all_there).await;
        assert_eq!(requests.len(), self.done);
        println!("{} webhooks, each used at once", self.done);
    }
}

async fn both_have_worked(fanouts: &[Fanfare]) -> bool {
    for fanout in fanouts {
        if fanout.metric("fanfare_fanout_events_total{result=\"matched\"}").await < 1.0 {
            return false;
        }
    }
    true
}
