//! What the intake promises, of engines that have one.

use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::ports::intake::{IntakePartition, IntakePosition, IntakeShare, Published, Rejection};
use fanfare_core::ports::rejections::Rejected;
use fanfare_core::ports::{Intake, Rejections, StoreErrorKind};
use futures_util::future::select_all;

use super::Harness;
use super::fixtures::{project, soon, waits};

/// How the suite gets at the intake of an engine.
#[async_trait]
pub trait IntakeHarness: Harness {
    /// The intake of the engine that was opened last, and what it has rejected.
    fn intake(&self) -> (Arc<dyn Intake>, Arc<dyn Rejections>);

    /// How many partitions it has.
    fn intake_partitions(&self) -> usize;

    /// A producer publishes, and hears that the broker keeps it.
    async fn publish(&self, project: &str, event_type: &str, headers: &[(&str, &str)], body: &str);
}

/// A holder of all the partitions there are.
struct Holder {
    share: Box<dyn IntakeShare>,
    partitions: Vec<Arc<dyn IntakePartition>>,
}

impl Holder {
    async fn of<H: IntakeHarness>(harness: &H) -> Self {
        let mut share = harness.intake().0.take_part().await.expect("takes part");
        let mut partitions = Vec::new();
        while partitions.len() < harness.intake_partitions() {
            partitions.push(soon(share.next()).await.expect("a partition"));
        }
        Self { share, partitions }
    }

    /// Waits until so many of a project's messages wait; in which partition.
    async fn waiting(&self, project: &str, count: usize) -> Arc<dyn IntakePartition> {
        let looking = self.partitions.iter().map(|partition| {
            Box::pin(async move {
                loop {
                    let waiting = partition.waiting().await.expect("told");
                    let of_project = waiting.iter().find(|waiting| &*waiting.project == project);
                    let found = of_project.map_or(0, |waiting| waiting.count);
                    assert!(found <= count, "{found} of {project}");
                    if found == count {
                        return partition;
                    }
                    partition.arrival().await.expect("told");
                }
            })
        });
        let (partition, ..) = soon(select_all(looking)).await;
        Arc::clone(partition)
    }

    async fn nothing_waits(&self) {
        for partition in &self.partitions {
            waits(partition.waiting()).await;
        }
    }
}

async fn read(partition: &Arc<dyn IntakePartition>, project: &str, max: usize) -> Vec<Published> {
    soon(partition.read(project, max)).await.expect("read")
}

async fn done(partition: &Arc<dyn IntakePartition>, project: &str, position: IntakePosition) {
    soon(partition.done(project, position)).await.expect("removed");
}

/// What tells a message from every other one, and decides which event it is.
fn identity(messages: &[Published]) -> Vec<(u64, i64, &str, &[u8])> {
    let of = |message: &Published| (message.position.0, message.at.as_millis());
    messages.iter().map(|message| (of(message).0, of(message).1, &*message.event_type, &message.body[..])).collect()
}

fn bodies(messages: &[Published]) -> Vec<&str> {
    messages.iter().map(|message| std::str::from_utf8(&message.body).expect("text")).collect()
}

fn rejection(message: &Published, reason: &str) -> Rejection {
    let (field, reason) = ("$.data".to_owned(), reason.to_owned());
    Rejection { message: message.clone(), code: "invalid_event", field, reason }
}

/// Until this holds.
async fn until<H: Harness>(harness: &H, mut is_so: impl AsyncFnMut() -> bool) {
    soon(async {
        while !is_so().await {
            harness.pass(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn until_empty<H: IntakeHarness>(harness: &H) {
    until(harness, async || harness.intake().0.depth().await.expect("counted").count == 0).await;
}

/// With project, type, headers and body as they were published, and the same however often they are read.
pub async fn messages_are_read_as_they_were_published_and_in_order<H: IntakeHarness>(harness: H) {
    let _engine = harness.open().await;
    let holder = Holder::of(&harness).await;
    for number in 0..5 {
        let headers = [("ce-id", &*format!("order-{number}")), ("X-Empty", "")];
        harness.publish("shop", "order.paid", &headers, &number.to_string()).await;
        harness.publish("bank", "order.sent", &[], "other").await;
    }
    let partition = holder.waiting("shop", 5).await;
    let first = read(&partition, "shop", 3).await;
    assert_eq!(bodies(&first), ["0", "1", "2"]);
    let all = read(&partition, "shop", 100).await;
    assert_eq!(bodies(&all), ["0", "1", "2", "3", "4"]);
    assert_eq!(identity(&all[..3]), identity(&first));
    assert!(all.is_sorted_by(|one, next| one.position < next.position && one.at <= next.at));
    let message = &all[2];
    assert_eq!((&*message.project, &*message.event_type, message.malformed), ("shop", "order.paid", None));
    let mut headers: Vec<(&str, &str)> =
        message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // A client library may have an order of its own.
    headers.sort_unstable();
    assert_eq!(headers, [("X-Empty", ""), ("ce-id", "order-2")]);
    assert!(read(&partition, "nobody", 100).await.is_empty());
    let partition = holder.waiting("bank", 5).await;
    assert_eq!(bodies(&read(&partition, "bank", 100).await), ["other"; 5]);
}

/// However many wait, and however long they are.
pub async fn a_long_line_is_read_whole_and_in_order<H: IntakeHarness>(harness: H) {
    let _engine = harness.open().await;
    let holder = Holder::of(&harness).await;
    let body = |number: usize| format!("{number} {}", "x".repeat(1000));
    for number in 0..1000 {
        harness.publish("shop", "order.paid", &[("ce-id", &format!("order-{number}"))], &body(number)).await;
    }
    let partition = holder.waiting("shop", 1000).await;
    let before = read(&partition, "shop", 1000).await;
    assert!(before.iter().enumerate().all(|(number, message)| message.body[..] == *body(number).as_bytes()));
    let mut read_again = Vec::new();
    while read_again.len() < 1000 {
        let batch = read(&partition, "shop", 300).await;
        done(&partition, "shop", batch.last().expect("more").position).await;
        read_again.extend(batch);
    }
    assert_eq!(identity(&read_again), identity(&before));
    assert!(read_again.iter().zip(&before).all(|(again, before)| again.headers == before.headers));
    assert!(before.iter().enumerate().all(|(number, message)| message.headers[0].1 == format!("order-{number}")));
    holder.nothing_waits().await;
    until_empty(&harness).await;
}

/// Whoever waits is woken by the first message, and by what comes after it was told.
pub async fn whoever_waits_is_told_of_what_comes<H: IntakeHarness>(harness: H) {
    let _engine = harness.open().await;
    let holder = Holder::of(&harness).await;
    holder.nothing_waits().await;
    harness.publish("shop", "order.paid", &[], "1").await;
    let partition = holder.waiting("shop", 1).await;
    waits(partition.arrival()).await;
    let (told, ()) = tokio::join!(soon(partition.arrival()), harness.publish("shop", "order.paid", &[], "2"));
    told.expect("told");
    holder.waiting("shop", 2).await;
}

/// What is done with does not come again and leaves room; nobody else's is touched.
pub async fn what_is_done_with_is_removed_and_nothing_else<H: IntakeHarness>(harness: H) {
    let engine = harness.open().await;
    let holder = Holder::of(&harness).await;
    for number in 0..4 {
        harness.publish("shop", "order.paid", &[], &number.to_string()).await;
        harness.publish("shop-2", "order.paid", &[], &number.to_string()).await;
    }
    let partition = holder.waiting("shop", 4).await;
    let second = read(&partition, "shop", 2).await[1].position;
    done(&partition, "shop", second).await;
    assert_eq!(bodies(&read(&partition, "shop", 100).await), ["2", "3"], "at once");
    done(&partition, "shop", second).await;
    assert_eq!(bodies(&read(&holder.waiting("shop-2", 4).await, "shop-2", 100).await), ["0", "1", "2", "3"]);
    until(&harness, async || harness.intake().0.depth().await.expect("counted").count == 6).await;
    drop(holder);
    harness.crash(engine).await;
    let _engine = harness.open().await;
    let holder = Holder::of(&harness).await;
    let partition = holder.waiting("shop", 2).await;
    assert_eq!(bodies(&read(&partition, "shop", 100).await), ["2", "3"]);
    holder.waiting("shop-2", 4).await;
    let depth = harness.intake().0.depth().await.expect("counted");
    assert!(depth.oldest.is_some_and(|oldest| oldest <= harness.clock().now()));
}

/// A message is known by its place when it is rejected again, after a crash too.
pub async fn what_is_rejected_is_kept_once_with_the_reason<H: IntakeHarness>(harness: H) {
    let engine = harness.open().await;
    let holder = Holder::of(&harness).await;
    harness.publish("shop", "order.paid", &[("ce-id", "order-1")], "first").await;
    harness.publish("shop", "order.paid", &[("ce-id", "order-1")], "second").await;
    let partition = holder.waiting("shop", 2).await;
    let read_before = read(&partition, "shop", 2).await;
    partition.reject(read_before.iter().map(|message| rejection(message, "no")).collect()).await.expect("kept");
    partition.reject(vec![rejection(&read_before[0], "no")]).await.expect("kept");
    harness.kill(&engine);
    drop(holder);
    harness.crash(engine).await;
    let _engine = harness.open().await;
    let holder = Holder::of(&harness).await;
    let partition = holder.waiting("shop", 2).await;
    let again = read(&partition, "shop", 2).await;
    assert_eq!(identity(&again), identity(&read_before));
    partition.reject(again.iter().map(|message| rejection(message, "no")).collect()).await.expect("kept");
    done(&partition, "shop", again[1].position).await;
    until_empty(&harness).await;
    let page = harness.intake().1.newest(&project("shop"), None, 100, 3).await.expect("read");
    let kept: Vec<&[u8]> = page.rejected.iter().map(|rejected| &rejected.body[..]).collect();
    assert_eq!((kept, page.more), (vec![&b"sec"[..], b"fir"], false));
    let Rejected { at, code, field, reason, headers, body_bytes, .. } = &page.rejected[1];
    assert_eq!((*at, &**code, &**field, &**reason), (again[0].at, "invalid_event", "$.data", "no"));
    assert_eq!((&headers[..], *body_bytes), (&[("ce-id".to_owned(), "order-1".to_owned())][..], 5));
    let others = harness.intake().1.newest(&project("bank"), None, 100, 3).await.expect("read");
    assert!(others.rejected.is_empty());
}

/// Two never work one partition off: the first is told. What it had not done with is the next one's.
pub async fn a_holder_that_has_lost_its_partition_does_nothing_and_the_next_begins_where_it_ended<H: IntakeHarness>(
    harness: H,
) {
    let _engine = harness.open().await;
    let first = Holder::of(&harness).await;
    for number in 0..4 {
        harness.publish("shop", "order.paid", &[], &number.to_string()).await;
    }
    let old = first.waiting("shop", 4).await;
    let all = read(&old, "shop", 4).await;
    done(&old, "shop", all[1].position).await;
    until(&harness, async || harness.intake().0.depth().await.expect("counted").count == 2).await;
    drop(first.share);
    let next = Holder::of(&harness).await;
    let lost = [
        soon(old.waiting()).await.map(|_| ()),
        soon(old.arrival()).await,
        soon(old.read("shop", 4)).await.map(|_| ()),
        soon(old.done("shop", all[3].position)).await,
    ];
    assert_eq!(lost.map(|lost| lost.expect_err("lost").kind), [StoreErrorKind::Lost; 4]);
    let partition = next.waiting("shop", 2).await;
    assert_eq!(identity(&read(&partition, "shop", 100).await), identity(&all[2..]));
    drop(next.share);
}

/// A holder that dies in the midst keeps the next one from nothing.
pub async fn what_a_holder_had_read_when_it_died_comes_again_as_it_was<H: IntakeHarness>(harness: H) {
    let engine = harness.open().await;
    let holder = Holder::of(&harness).await;
    for number in 0..3 {
        harness.publish("shop", "order.paid", &[("ce-id", "x")], &number.to_string()).await;
    }
    let before = read(&holder.waiting("shop", 3).await, "shop", 2).await;
    harness.kill(&engine);
    drop(holder);
    harness.crash(engine).await;
    harness.publish("shop", "order.paid", &[], "3").await;
    let _engine = harness.open().await;
    let holder = Holder::of(&harness).await;
    let again = read(&holder.waiting("shop", 4).await, "shop", 100).await;
    assert_eq!(identity(&again[..2]), identity(&before));
    assert_eq!(bodies(&again), ["0", "1", "2", "3"]);
    assert_eq!(again[0].headers, before[0].headers);
}
