//! What lanes and gates do for one webhook whose receiver is down, comes and goes, takes only so much, or may only get so much.
//! How fast they do it the bench measures; here it is counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare_testkit::{Engine, Fanfare, Received, Receiver, Reply, Servers};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::isolation::{publish, times};

on_both_engines!(
    an_outage_gets_probes_only_and_everything_comes_once_after_it,
    a_receiver_that_comes_and_goes_is_never_overrun,
    a_lane_finds_what_its_receiver_takes,
    a_rate_is_kept_however_many_deliver,
);

/// After how many failures in a row a breaker opens.
const FAILURES: usize = 10;
/// How many requests one lane makes at once at the most.
const LANE: usize = 32;
/// Short intervals, so that the tests are.
const PROBES: [(&str, &str); 2] = [("FANFARE_DELIVERY_PROBE_FIRST", "200ms"), ("FANFARE_DELIVERY_PROBE_LONGEST", "1s")];

/// A receiver that is up or down, and counts how often it took each delivery.
struct Shaky {
    receiver: Receiver,
    is_up: Arc<AtomicBool>,
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

impl Shaky {
    async fn start(is_up: bool) -> Self {
        let (is_up, taken) = (Arc::new(AtomicBool::new(is_up)), Arc::<Mutex<HashMap<_, _>>>::default());
        let (up, taking) = (Arc::clone(&is_up), Arc::clone(&taken));
        let answer = move |request: &Received| {
            if !up.load(Ordering::Relaxed) {
                return Reply::Status(503);
            }
            *taking.lock().entry(request.key().to_owned()).or_default() += 1;
            Reply::After(Duration::from_millis(5), 200)
        };
        Self { receiver: Receiver::http(answer).await, is_up, taken }
    }

    fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
    }

    /// How many deliveries it has taken.
    fn taken(&self) -> usize {
        self.taken.lock().len()
    }

    /// Waits until it has taken so many.
    async fn until_taken(&self, count: usize) {
        self.receiver.until(&format!("{count} deliveries taken"), |_| self.taken() >= count).await;
    }
}

async fn create(fanfare: &Fanfare, mut webhook: Value) -> String {
    webhook["events"] = json!(["**"]);
    let created = fanfare.create_webhook(webhook).await;
    format!("/v1/webhooks/{}/health", created["id"].as_str().unwrap())
}

fn is_open(health: &Value) -> bool {
    health["gate"]["reason"] == "breaker_open"
}

async fn an_outage_gets_probes_only_and_everything_comes_once_after_it(engine: Engine) {
    const DELIVERIES: usize = 200;
    let fanfare = Fanfare::start_on(engine, &PROBES).await;
    let shaky = Shaky::start(false).await;
    let webhook = json!({"url": shaky.receiver.url("/"), "retry_schedule": vec![1; 20]});
    let health = create(&fanfare, webhook).await;
    publish(&fanfare, "order.paid", DELIVERIES).await;
    let probes = |shown: &Value| usize::try_from(shown["gate"]["failed_probes"].as_u64().unwrap()).unwrap();
    // What was sent and failed waits until it is due, and then behind the gate like the others.
    let stands = |shown: &Value| shown["waiting"].as_u64().is_some_and(|waiting| waiting >= DELIVERIES as u64 / 2);
    fanfare.eventually(&health, |_, shown| is_open(shown) && stands(shown) && probes(shown) >= 3).await;
    let requests = shaky.receiver.so_far().len();
    let (_, shown) = fanfare.call("GET", &health, None).await;
    let made = requests.saturating_sub(probes(&shown) + 1);
    println!("{requests} requests during the outage, {} of them probes", probes(&shown));
    assert!(made <= FAILURES + LANE, "{made} requests beside the probes");

    let before = shaky.receiver.so_far().len();
    shaky.set_up(true);
    shaky.until_taken(DELIVERIES).await;
    let lowered = |_: u16, shown: &Value| shown["gate"].is_null() && shown["state"] == "healthy";
    fanfare.eventually(&health, lowered).await;
    assert!(shaky.taken.lock().values().all(|times| *times == 1), "something came twice");
    // What came first after the outage came alone.
    let first = shaky.receiver.so_far().into_iter().nth(before);
    assert_eq!(first.map(|request| request.at_once), Some(1));
}

async fn a_receiver_that_comes_and_goes_is_never_overrun(engine: Engine) {
    const DELIVERIES: usize = 200;
    const LIMIT: usize = 4;
    let options = [PROBES[0], PROBES[1], ("FANFARE_DELIVERY_LANE_LIMIT", "4")];
    let fanfare = Fanfare::start_on(engine, &options).await;
    let shaky = Shaky::start(true).await;
    let health = create(&fanfare, json!({"url": shaky.receiver.url("/")})).await;
    publish(&fanfare, "order.paid", DELIVERIES).await;
    for round in 1..=3 {
        shaky.until_taken(round * DELIVERIES / 5).await;
        shaky.set_up(false);
        fanfare.eventually(&health, |_, shown| is_open(shown)).await;
        shaky.set_up(true);
    }
    shaky.until_taken(DELIVERIES).await;
    let most = shaky.receiver.so_far().iter().map(|request| request.at_once).max();
    assert!(most <= Some(LIMIT), "{most:?} at once");
    assert!(shaky.taken.lock().values().all(|times| *times == 1), "something came twice");
}

async fn a_lane_finds_what_its_receiver_takes(engine: Engine) {
    const DELIVERIES: usize = 400;
    const SERVES: usize = 4;
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|request| {
        if request.at_once > SERVES { Reply::Status(429) } else { Reply::After(Duration::from_millis(20), 200) }
    })
    .await;
    create(&fanfare, json!({"url": receiver.url("/"), "retry_schedule": vec![1; 20]})).await;
    publish(&fanfare, "order.paid", DELIVERIES).await;
    let is_taken = |request: &&Received| request.at_once <= SERVES;
    let requests =
        receiver.until("every delivery", |requests| requests.iter().filter(is_taken).count() >= DELIVERIES).await;
    let taken: Vec<Received> = requests.iter().filter(is_taken).cloned().collect();
    assert_eq!(times(&taken).len(), DELIVERIES, "something came twice");
    let refused = requests.len() - taken.len();
    println!("{refused} of {} requests were too many at once", requests.len());
    // A lane that knows no better makes 32 requests where 4 are served: seven of eight are refused.
    assert!(refused * 4 <= requests.len(), "{refused} of {} requests were too many at once", requests.len());
}

async fn a_rate_is_kept_however_many_deliver(engine: Engine) {
    const DELIVERIES: usize = 200;
    const COUNT: usize = 50;
    const BURST: usize = 10;
    // How much later than it was sent the first one may have been noted.
    const SLACK: Duration = Duration::from_secs(1);
    let mut servers = None;
    let members = match engine {
        Engine::Embedded => vec![Fanfare::start_on(engine, &[]).await],
        Engine::Distributed => {
            let servers = servers.insert(Servers::start().await);
            let mut members = Vec::new();
            for role in ["console", "ingest", "fanout", "delivery", "delivery", "delivery"] {
                members.push(Fanfare::start_role(role, servers, &[]).await);
            }
            members
        }
    };
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let limit = json!({"count": COUNT, "period_seconds": 1, "burst": BURST});
    create(&members[0], json!({"url": receiver.url("/"), "rate_limit": limit})).await;
    publish(&members[1.min(members.len() - 1)], "order.paid", DELIVERIES).await;
    let requests = receiver.received(DELIVERIES).await;
    assert_eq!(times(&requests).len(), DELIVERIES, "something came twice");
    // What is sent may be late at the receiver, never early: so many from the first one on, not in any one second.
    let first = requests[0].at;
    for (number, request) in requests.iter().enumerate() {
        let elapsed = request.at - first + SLACK;
        let allowed = BURST + usize::try_from(elapsed.as_millis()).unwrap() * COUNT / 1000 + 1;
        assert!(number < allowed, "{} after {:?}", number + 1, request.at - first);
    }
}
