//! Restarts under load, one process after another, as an upgrade makes them: what producers see, and that nothing is lost.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fanfare_testkit::process::API_KEY;
use fanfare_testkit::{Fanfare, Received, Receiver, Reply, Servers};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::load::all_taken;
use crate::samples::NO_BREAKER;

/// How often the balancer asks an ingest whether it is ready.
const LOOKS: Duration = Duration::from_millis(50);
/// How long a process works on while it says that it is not ready: some looks, on a busy machine too.
const DELAY: &str = "500ms";
const PRODUCERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(10);

/// One address of ingest and where its readiness is asked.
#[derive(Clone)]
struct Door {
    events: String,
    ready: String,
}

impl Door {
    fn of(ingest: &Fanfare) -> Self {
        Self { events: ingest.url("/v1/events"), ready: ingest.admin_url("/readyz") }
    }
}

/// What producers have seen.
#[derive(Default)]
struct Seen {
    accepted: HashSet<String>,
    /// What was answered 503 or refused, and then sent again.
    again: Vec<String>,
    /// What was not accepted in the end.
    failed: Vec<String>,
    /// The longest time from an event's first try to its acceptance.
    slowest: Duration,
}

impl Seen {
    /// Prints what was seen, and holds that all was accepted in the end.
    fn nothing_failed(&self) {
        println!(
            "{} events accepted, {} tries again {:?}, slowest acceptance {:?}",
            self.accepted.len(),
            self.again.len(),
            self.again.iter().collect::<HashSet<_>>(),
            self.slowest
        );
        assert!(self.failed.is_empty(), "{:?}", self.failed);
    }
}

/// Producers behind a balancer, each of which waits for an answer before its next event.
struct Producers {
    seen: Arc<Mutex<Seen>>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Producers {
    /// Starts them; each tries `tries` times in all what is answered 503 or refused.
    fn start(client: &reqwest::Client, doors: &[Door], tries: usize) -> Self {
        let (stop, _) = watch::channel(false);
        let (say, open) = watch::channel(doors.to_vec());
        let seen = Arc::<Mutex<Seen>>::default();
        let mut tasks = JoinSet::new();
        let (balancer, all, stopped) = (client.clone(), doors.to_vec(), stop.subscribe());
        tasks.spawn(async move {
            let mut looks = tokio::time::interval(LOOKS);
            while !*stopped.borrow() {
                looks.tick().await;
                let mut ready = Vec::new();
                for door in &all {
                    if balancer.get(&door.ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
                        ready.push(door.clone());
                    }
                }
                // With nobody ready, the balancer goes on trying them all.
                say.send_replace(if ready.is_empty() { all.clone() } else { ready });
            }
        });
        for producer in 0..PRODUCERS {
            let (client, open, seen, stopped) = (client.clone(), open.clone(), Arc::clone(&seen), stop.subscribe());
            tasks.spawn(async move {
                let mut ticks = tokio::time::interval(PAUSE);
                for number in 0.. {
                    if *stopped.borrow() {
                        return;
                    }
                    ticks.tick().await;
                    publish(&client, &open, &seen, producer + number, format!("p{producer}-{number}"), tries).await;
                }
            });
        }
        Self { seen, stop, tasks }
    }

    /// Waits until so many more events have been accepted.
    async fn more(&self, count: usize) {
        let wanted = self.seen.lock().accepted.len() + count;
        let mut ticks = tokio::time::interval(PAUSE);
        let reached = async {
            while self.seen.lock().accepted.len() < wanted {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reached).await.expect("events are accepted");
    }

    async fn stop(self) -> Seen {
        self.stop.send_replace(true);
        self.tasks.join_all().await;
        std::mem::take(&mut *self.seen.lock())
    }
}

/// Publishes one event, in turn at the doors that are open.
async fn publish(
    client: &reqwest::Client,
    open: &watch::Receiver<Vec<Door>>,
    seen: &Mutex<Seen>,
    turn: usize,
    id: String,
    tries: usize,
) {
    let body = json!({"id": id, "type": "order.paid", "data": {"id": id}}).to_string();
    let begin = Instant::now();
    let mut pauses = tokio::time::interval(PAUSE);
    for number in 0..tries {
        pauses.tick().await;
        let door = {
            let open = open.borrow();
            open[(turn + number) % open.len()].events.clone()
        };
        let request = client.post(door).header("x-api-key", API_KEY).header("content-type", "application/json");
        let said = match request.body(body.clone()).send().await {
            Ok(answer) if answer.status().as_u16() == 202 => {
                let mut seen = seen.lock();
                seen.slowest = seen.slowest.max(begin.elapsed());
                seen.accepted.insert(id);
                return;
            }
            Ok(answer) if answer.status().as_u16() == 503 => "503".to_owned(),
            Ok(answer) => {
                seen.lock().failed.push(format!("{id}: {}", answer.status()));
                return;
            }
            Err(error) if error.is_connect() => "refused".to_owned(),
            // Closed under the request: whether it was taken is not known, and the id makes sending it again safe.
            Err(error) => format!("broken: {error:?}"),
        };
        seen.lock().again.push(said);
    }
    seen.lock().failed.push(format!("{id}: refused, or answered 503, {tries} times"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_is_restarted_under_load_and_no_request_fails_and_nothing_is_lost_or_comes_twice() {
    let servers = Servers::start().await;
    let mut options = NO_BREAKER.to_vec();
    options.push(("FANFARE_SHUTDOWN_DELAY", DELAY));
    let mut members = Vec::new();
    for role in ["console", "ingest", "fanout", "delivery"] {
        for _ in 0..2 {
            members.push(Fanfare::start_role(role, &servers, &options).await);
        }
    }
    let fails = |request: &Received| request.index.is_multiple_of(5);
    let well = Receiver::http(|_| Reply::Status(200)).await;
    let shaky = Receiver::http(move |request| Reply::Status(if fails(request) { 500 } else { 200 })).await;
    for receiver in [&well, &shaky] {
        let webhook = json!({"url": receiver.url("/"), "events": ["order.**"], "retry_schedule": vec![1; 20]});
        members[0].create_webhook(webhook).await;
    }
    let doors = [Door::of(&members[2]), Door::of(&members[3])];
    let producers = Producers::start(members[0].client(), &doors, 2);
    for member in &mut members {
        producers.more(50).await;
        assert!(member.terminate().await.success(), "{}", member.log());
        producers.more(20).await;
        member.start_again().await;
    }
    producers.more(50).await;
    let seen = producers.stop().await;
    let twice = all_taken(&well, &seen.accepted, |_| true).await;
    let twice_shaky = all_taken(&shaky, &seen.accepted, |request| !fails(request)).await;
    seen.nothing_failed();
    assert_eq!((twice, twice_shaky), (0, 0), "something came twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_is_restarted_in_place_under_load_and_producers_that_try_again_lose_nothing() {
    let mut fanfare = Fanfare::start(&NO_BREAKER).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["order.**"]})).await;
    // As often as it takes: there is nobody else to ask meanwhile.
    let producers = Producers::start(fanfare.client(), &[Door::of(&fanfare)], 3_000);
    for _ in 0..3 {
        producers.more(50).await;
        assert!(fanfare.terminate().await.success(), "{}", fanfare.log());
        fanfare.start_again().await;
    }
    producers.more(50).await;
    let seen = producers.stop().await;
    let twice = all_taken(&receiver, &seen.accepted, |_| true).await;
    seen.nothing_failed();
    assert_eq!(twice, 0, "something came twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_to_stop_says_so_and_works_on_until_balancers_have_noticed() {
    let mut fanfare = Fanfare::start(&[("FANFARE_SHUTDOWN_DELAY", "2s")]).await;
    let asked = Instant::now();
    let (events, ready) = (fanfare.url("/v1/events"), fanfare.admin_url("/readyz"));
    let client = fanfare.client().clone();
    let looking = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            let answer = client.get(&ready).send().await.expect("the admin listener answers");
            if answer.status().as_u16() == 503 {
                assert_eq!(answer.text().await.unwrap(), r#"{"status":"draining"}"#);
                break;
            }
        }
        let event = json!({"type": "order.paid", "data": {}}).to_string();
        let request = client.post(&events).header("x-api-key", API_KEY).header("content-type", "application/json");
        request.body(event).send().await.unwrap().status().as_u16()
    });
    assert!(fanfare.terminate().await.success());
    assert_eq!(looking.await.unwrap(), 202, "it is not ready, and still takes what comes");
    assert!(asked.elapsed() >= Duration::from_secs(2), "it ended after {:?}", asked.elapsed());
}
