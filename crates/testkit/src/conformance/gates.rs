//! What the queue promises about what stands behind gates, whoever owns them.

use std::time::Duration;

use fanfare_core::delivery::{Delivery, Place};
use fanfare_core::ids::{Hop, WebhookId};
use fanfare_core::ports::delivery_queue::{GateDepth, GatePosition};

use super::fixtures::{events, gated, lease, nothing_else, push, put_off, webhook};
use super::{Engine, Harness};

/// Everything behind a gate, by event.
pub(super) async fn behind(engine: &Engine, webhook: WebhookId) -> Vec<String> {
    let read = engine.queue.gate_read(webhook, GatePosition(0), 1000).await.expect("read");
    read.iter().map(|(_, delivery): &(_, Delivery)| delivery.header.event.to_string()).collect()
}

/// First come, first in line, for each webhook; workers have no part in it.
pub async fn a_gate_keeps_order_and_workers_do_not_see_behind_it<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for number in 0..6 {
        push(&harness, &engine, webhook(1), &format!("one-{number}"), gated()).await;
        push(&harness, &engine, webhook(2), &format!("two-{number}"), gated()).await;
    }
    let expected = |name: &str| (0..6).map(|number| format!("{name}-{number}")).collect::<Vec<_>>();
    assert_eq!(behind(&engine, webhook(1)).await, expected("one"));
    assert_eq!(behind(&engine, webhook(2)).await, expected("two"));
    assert_eq!(behind(&engine, webhook(3)).await, Vec::<String>::new());
    nothing_else(&harness, &engine).await;
}

/// Reading in pages reads everything once, whole.
pub async fn reading_goes_on_from_a_position<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let mut pushed = Vec::new();
    for number in 0..5 {
        pushed.push(push(&harness, &engine, webhook(1), &number.to_string(), gated()).await);
    }
    let (mut read, mut after) = (Vec::new(), GatePosition(0));
    loop {
        let page = engine.queue.gate_read(webhook(1), after, 2).await.expect("read");
        assert!(page.len() <= 2);
        let Some((last, _)) = page.last() else { break };
        assert!(*last > after);
        after = *last;
        read.extend(page.into_iter().map(|(_, delivery)| delivery));
    }
    assert_eq!(read, pushed);
}

/// The count, and since when the first one has been standing there.
pub async fn a_gate_is_counted_with_the_time_of_its_head<H: Harness>(harness: H) {
    let engine = harness.open().await;
    assert_eq!(engine.queue.gate_depth(webhook(1)).await.expect("counted"), GateDepth::default());
    let before = harness.clock().now();
    push(&harness, &engine, webhook(1), "a", gated()).await;
    harness.pass(Duration::from_secs(3)).await;
    push(&harness, &engine, webhook(1), "b", gated()).await;
    push(&harness, &engine, webhook(2), "c", gated()).await;
    let depth = engine.queue.gate_depth(webhook(1)).await.expect("counted");
    assert_eq!(depth.count, 2);
    let oldest = depth.oldest.expect("something stands there");
    assert!(oldest.since(before) < Duration::from_secs(2) && before.since(oldest) < Duration::from_secs(2));
}

/// Workers put behind the gate what they meet; it stands behind what was there.
pub async fn a_move_behind_the_gate_goes_to_its_end<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "ready", Place::Ready).await;
    push(&harness, &engine, webhook(1), "gated", gated()).await;
    let leases = lease(&engine, 1).await;
    assert_eq!(events(&leases), ["ready"]);
    engine.queue.settle(&leases[0], put_off(&harness, gated())).await.expect("settled");
    push(&harness, &engine, webhook(1), "later", gated()).await;
    assert_eq!(behind(&engine, webhook(1)).await, ["gated", "ready", "later"]);
    let read = engine.queue.gate_read(webhook(1), GatePosition(0), 10).await.expect("read");
    assert_eq!(read.iter().map(|(_, delivery)| delivery.header.hop).collect::<Vec<_>>(), [Hop(0), Hop(1), Hop(0)]);
    nothing_else(&harness, &engine).await;
}

/// A deleted webhook's gate is emptied; nobody else's is.
pub async fn discarding_removes_what_stands_behind_one_gate<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for number in 0..7 {
        push(&harness, &engine, webhook(1), &format!("one-{number}"), gated()).await;
    }
    push(&harness, &engine, webhook(2), "two", gated()).await;
    push(&harness, &engine, webhook(1), "ready", Place::Ready).await;
    assert_eq!(engine.queue.discard(webhook(1)).await.expect("discarded"), 7);
    assert_eq!(engine.queue.discard(webhook(1)).await.expect("discarded"), 0);
    assert_eq!(engine.queue.gate_depth(webhook(1)).await.expect("counted"), GateDepth::default());
    assert_eq!(behind(&engine, webhook(2)).await, ["two"]);
    let depth = engine.queue.depth().await.expect("counted");
    assert_eq!((depth.gated, depth.ready), (1, 1), "what is not behind the gate is not discarded");
    harness.crash(engine).await;
    let engine = harness.open().await;
    assert_eq!(behind(&engine, webhook(1)).await, Vec::<String>::new());
    assert_eq!(events(&lease(&engine, 1).await), ["ready"]);
}

/// Order and content outlive the process.
pub async fn gates_survive_a_crash<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for number in 0..8 {
        push(&harness, &engine, webhook(1), &number.to_string(), gated()).await;
    }
    harness.crash(engine).await;
    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "8", gated()).await;
    assert_eq!(behind(&engine, webhook(1)).await, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
    assert_eq!(engine.queue.depth().await.expect("counted").gated, 9);
}
