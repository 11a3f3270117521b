//! A project that floods NATS with what is no event, then one that floods it with more events than its quota lets through, each
//! beside a healthy one: here it is counted that nothing of the healthy project's is missing and that everything of the other's is
//! rejected or waits. What the healthy one's times are, `cargo xtask bench --scenario hostile` measures, at a hundred times the rate.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream;
use fanfare_testkit::{Fanfare, Received, Receiver, Reply, Servers};
use serde_json::json;

use crate::direct::connect;
use crate::load::id_of;
use crate::samples::webhook;
use crate::weather::wait_for;

const ADMIN: (&str, &str) = ("FANFARE_ADMIN_KEY", "admin-key-0123456789abcdef");
/// How many events the healthy project publishes, half of them straight to NATS.
const HEALTHY: usize = 100;
/// The least burst that a project may have, and that of the hostile one.
const BURST: usize = 500;

struct Stage {
    _servers: Servers,
    members: Vec<Fanfare>,
    receiver: Receiver,
    stream: jetstream::Context,
}

impl Stage {
    /// One of each service; the project `hostile` may send one event a second after its burst.
    async fn set() -> Self {
        let servers = Servers::start().await;
        let mut members = Vec::new();
        for role in ["console", "ingest", "fanout", "delivery"] {
            members.push(Fanfare::start_role(role, &servers, &[ADMIN]).await);
        }
        let receiver = Receiver::http(|_| Reply::Status(200)).await;
        members[0].create_webhook(webhook(&receiver.url("/"))).await;
        let project = json!({"id": "hostile", "quotas": {"events_per_second": 1, "burst": BURST}}).to_string();
        let request = members[0].client().post(members[0].url("/v1/projects")).bearer_auth(ADMIN.1);
        let made = request.header("content-type", "application/json").body(project).send().await.unwrap();
        assert_eq!(made.status().as_u16(), 201);
        let stream = connect(&servers).await;
        Self { _servers: servers, members, receiver, stream }
    }

    async fn publish(&self, project: &str, body: String) {
        let subject = format!("fanfare.events.{project}.order.paid");
        self.stream.publish(subject, body.into()).await.unwrap().await.unwrap();
    }

    /// Publishes the healthy project's events, with so many of the hostile one's beside each, and waits until all of the healthy
    /// one's have arrived.
    async fn play(&self, beside_each: usize, hostile: impl Fn(usize) -> String) {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        for number in 0..HEALTHY {
            ticks.tick().await;
            for flood in 0..beside_each {
                self.publish("hostile", hostile(number * beside_each + flood)).await;
            }
            let id = format!("order-{number}");
            if number % 2 == 0 {
                self.publish("default", json!({"id": id, "data": {"id": id}}).to_string()).await;
            } else {
                self.members[1].publish(json!({"id": id, "type": "order.paid", "data": {"id": id}})).await;
            }
        }
        let all = |requests: &[Received]| requests.iter().map(id_of).collect::<HashSet<_>>().len() == HEALTHY;
        let requests = self.receiver.until("every event of the healthy project", all).await;
        assert_eq!(requests.len(), HEALTHY);
    }

    async fn counted(&self, result: &str) -> f64 {
        self.members[1].metric(&format!("fanfare_ingest_events_total{{result=\"{result}\"}}")).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_messages_that_are_no_events_everything_arrives_and_all_of_those_are_rejected() {
    // Within the burst, so that all of it is looked at.
    const BESIDE_EACH: usize = 4;
    let stage = Stage::set().await;
    let invalid = ["{\"data\":", "{}", "{\"type\":\"another\",\"data\":{}}", "{\"id\":\"a b\",\"data\":{}}", ""];
    stage.play(BESIDE_EACH, |number| invalid[number % invalid.len()].to_owned()).await;
    let flood = HEALTHY * BESIDE_EACH;
    #[allow(clippy::cast_precision_loss, reason = "a small count")]
    let all = flood as f64;
    wait_for("all of the rest to be rejected", async || (stage.counted("invalid").await >= all).then_some(())).await;
    let kept = async || stage.stream.get_stream("FANFARE_REJECTED").await.unwrap().cached_info().state.messages;
    let kept = wait_for("all of it to be kept", async || Some(kept().await).filter(|kept| *kept >= flood as u64)).await;
    assert_eq!((kept, stage.counted("invalid").await), (flood as u64, all));
    #[allow(clippy::cast_precision_loss, reason = "a small count")]
    let healthy = HEALTHY as f64;
    assert_eq!(stage.counted("accepted").await, healthy);
    wait_for("an empty intake", async || {
        (stage.members[1].metric("fanfare_intake_waiting").await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_events_over_their_quota_everything_arrives_and_those_wait() {
    const BESIDE_EACH: usize = 20;
    let stage = Stage::set().await;
    stage.play(BESIDE_EACH, |number| json!({"id": format!("flood-{number}"), "data": {}}).to_string()).await;
    let flood = HEALTHY * BESIDE_EACH;
    // What a second brings is far from what waits, however slow the machine is.
    let intake = stage.stream.get_stream("FANFARE_INTAKE").await.unwrap().cached_info().state.messages;
    assert!(intake >= 1000 && intake <= (flood - BURST) as u64, "{intake} of {flood} messages wait");
    let accepted = stage.counted("accepted").await;
    assert!((100.0..1100.0).contains(&accepted), "{accepted} events were accepted");
    assert_eq!(stage.counted("invalid").await, 0.0);
}
