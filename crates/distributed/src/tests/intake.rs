//! The intake, whatever bytes producers publish.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::ports::Intake;
use fanfare_core::ports::intake::{IntakePartition, IntakeShare, Published, Rejection};
use fanfare_testkit::RawProducer;
use fanfare_testkit::conformance::fixtures::soon;

use super::harness::Servers;
use crate::Distributed;
use crate::intake::stored;
use crate::names::INTAKE_PARTITIONS;

const PLAIN: &[u8] = b"NATS/1.0\r\nce-id: order-1\r\n\r\n";

/// Bytes from a generator with a fixed start, so that a failure comes again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let count = self.next() % most;
        (0..count).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}

/// All partitions of the intake.
async fn hold(engine: &Distributed) -> (Box<dyn IntakeShare>, Vec<Arc<dyn IntakePartition>>) {
    let mut share = engine.take_part().await.unwrap();
    let mut partitions = Vec::new();
    for _ in 0..INTAKE_PARTITIONS {
        partitions.push(soon(share.next()).await.unwrap());
    }
    (share, partitions)
}

/// Waits until everything that was taken in has been removed.
async fn until_empty(engine: &Distributed) {
    soon(async {
        while engine.depth().await.unwrap().count > 0 {
            engine.shared.clock.sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Holds the engine to handing out what came over its own connection as it reads it from the server; in subjects the two may write
/// U+FFFD in other places.
async fn is_as_stored(engine: &Distributed, came: &Published) {
    let sequence = came.position.0;
    let stored = stored::get(engine, "compare", sequence).await.unwrap().expect("it is not removed yet");
    let stored = stored.published(&engine.shared.names, "compare", sequence).unwrap();
    let of = |message: &Published| {
        (message.at, message.headers.clone(), message.raw_headers.clone(), message.malformed, message.body.clone())
    };
    assert_eq!(of(came), of(&stored));
    let readable = |text: &str| text.chars().filter(|read| *read != '\u{FFFD}').collect::<String>();
    assert_eq!(readable(&came.project), readable(&stored.project));
    assert_eq!(readable(&came.event_type), readable(&stored.event_type));
}

/// Takes so many messages in, from whichever partition, and removes them.
async fn take(engine: &Distributed, partitions: &[Arc<dyn IntakePartition>], count: usize) -> Vec<Published> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let waits =
            partitions.iter().map(|partition| Box::pin(async { (partition.clone(), partition.waiting().await) }));
        let ((partition, waiting), ..) = soon(futures_util::future::select_all(waits)).await;
        for project in waiting.unwrap() {
            let messages = soon(partition.read(&project.project, 64)).await.unwrap();
            let Some(last) = messages.last().map(|message| message.position) else { continue };
            for message in &messages {
                is_as_stored(engine, message).await;
            }
            partition.done(&project.project, last).await.unwrap();
            taken.extend(messages);
        }
    }
    assert_eq!(taken.len(), count, "nothing is handed out twice");
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_published_is_handed_out_and_removed_and_stops_nothing() {
    let servers = Servers::begin().await;
    let engine = servers.connect().await;
    let (_share, partitions) = hold(&engine).await;
    let mut raw = RawProducer::connect(&servers.nats.url()).await;
    let bad_headers: [&[u8]; 7] = [
        b"NATS/1.0\r\nA: \xff\xfe\r\n\r\n",
        b"NATS/1.0\r\nno colon\r\n\r\n",
        b"NATS/1.0\r\nA: b\rc\r\n\r\n",
        b"NATS/1.0\r\n\x00: \n\r\n",
        b"\x00\x01\x02",
        b"Zz",
        // A consumer that was asked for headers alone would make the server itself panic here.
        b"Z",
    ];
    let odd_subjects: [&[u8]; 11] = [
        b"fanfare.events.sh\xff\xfeop.x",
        b"fanfare.events.shop.\xff",
        b"fanfare.events.*.x",
        b"fanfare.events.>.x",
        b"fanfare.events.shop.*",
        b"fanfare.events.shop.>",
        b"fanfare.events.shop.a\rb",
        b"fanfare.events.shop.a\x0bb\x00\x7f",
        "fanfare.events.shop.a\u{85}b\u{2028}c".as_bytes(),
        b"fanfare.events.a\xc2\xa0b.x",
        b"fanfare.events.SHOP~!.x",
    ];
    let mut published = 0;
    for (at, headers) in bad_headers.iter().enumerate() {
        assert!(raw.publish(b"fanfare.events.shop.x", headers, format!("{at}").as_bytes()).await);
        assert!(raw.publish(b"fanfare.events.shop.fine", PLAIN, b"{}").await);
        published += 2;
    }
    for subject in odd_subjects {
        assert!(raw.publish(subject, PLAIN, b"odd").await, "{}", subject.escape_ascii());
        published += 1;
    }
    let taken = take(&engine, &partitions, published).await;
    let fine = taken.iter().filter(|message| message.event_type == "fine").count();
    assert_eq!(fine, bad_headers.len());
    let bad: BTreeMap<&[u8], &[u8]> = taken
        .iter()
        .filter(|message| message.malformed.is_some())
        .map(|message| (&message.body[..], &message.raw_headers[..]))
        .collect();
    for (at, headers) in bad_headers.iter().enumerate() {
        let kept = bad.get(format!("{at}").as_bytes());
        assert_eq!(kept, Some(headers), "they are kept as they came: {}", headers.escape_ascii());
    }
    let odd: Vec<&Published> = taken.iter().filter(|message| &message.body[..] == b"odd").collect();
    assert_eq!(odd.len(), odd_subjects.len());
    assert!(odd.iter().any(|message| &*message.project == "*") && odd.iter().any(|message| message.event_type == ">"));
    until_empty(&engine).await;

    // In order within a project, whatever stands between.
    let of_shop: Vec<u64> = taken
        .iter()
        .filter(|message| message.event_type == "x" && &*message.project == "shop")
        .map(|message| message.position.0)
        .collect();
    assert!(of_shop.is_sorted());
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_stop_nothing_and_are_kept_whole_where_they_are_rejected() {
    let servers = Servers::begin().await;
    let engine = servers.connect().await;
    let (_share, partitions) = hold(&engine).await;
    let mut raw = RawProducer::connect(&servers.nats.url()).await;
    let (mut random, mut published) = (Random(0x9e37_79b9_7f4a_7c15), Vec::new());
    for _ in 0..300 {
        let mut subject = b"fanfare.events.shop.".to_vec();
        subject.extend(random.bytes(30).into_iter().filter(|byte| !b" \t\r\n.".contains(byte)).chain([b'x']));
        let (mut headers, body) = (random.bytes(300), random.bytes(300));
        if random.next() % 2 == 0 && !headers.is_empty() {
            headers = [b"NATS/1.0\r\n", &headers[..], b"\r\n\r\n"].concat();
        }
        if raw.publish(&subject, &headers, &body).await {
            published.push((headers, body));
        }
        assert!(raw.publish(b"fanfare.events.healthy.x", PLAIN, b"{}").await);
    }
    assert!(published.len() > 250, "the server takes nearly all of it");
    let taken = take(&engine, &partitions, published.len() + 300).await;
    let mut found: Vec<_> = taken
        .iter()
        .filter(|message| &*message.project != "healthy")
        .map(|message| (message.raw_headers.to_vec(), message.body.to_vec()))
        .collect();
    found.sort();
    published.sort();
    assert_eq!(found, published);
    until_empty(&engine).await;

    let rejections: Vec<Rejection> = taken
        .into_iter()
        .filter(|message| &*message.project != "healthy")
        .map(|message| Rejection { message, code: "invalid", field: "headers".to_owned(), reason: "no".to_owned() })
        .collect();
    partitions[0].reject(rejections).await.unwrap();
    let stream = engine.shared.store.stream("look", &engine.shared.names.rejected()).await.unwrap();
    assert_eq!(stream.get_info().await.unwrap().state.messages, published.len() as u64);
    // Read with the library that stops at what is not well-formed.
    let first = engine.shared.store.message("look", &engine.shared.names.rejected(), 1).await.unwrap().unwrap();
    assert!(first.headers.get("Fanfare-Rejection").is_some());
    engine.close().await;
}
