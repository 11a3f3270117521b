use super::*;

fn event(id: &str, event_type: &str) -> DemoEvent {
    DemoEvent { id: id.to_owned(), event_type: event_type.to_owned(), data: serde_json::json!({}) }
}

fn webhook(receiver: usize) -> Uuid {
    Uuid::from_u128(receiver as u128 + 1)
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::new(vec![event("demo-1", "whatsapp.message.received"), event("demo-2", "order.paid")]);
    (0..RECEIVERS.len()).for_each(|receiver| ledger.webhook(receiver, &webhook(receiver)));
    ledger
}

fn arrival(receiver: usize, event: usize, attempt: u32, status: u16) -> Arrival {
    let (id, event) = [("demo-1", "whatsapp.message.received"), ("demo-2", "order.paid")][event];
    Arrival {
        receiver,
        event: event.to_owned(),
        key: idempotency_key(&webhook(receiver), id),
        attempt,
        test: false,
        status,
        verified: Ok(()),
        at: Monotonic::default(),
    }
}

/// All that has to arrive: `plain` both, `flaky` both in three attempts, `strict` the first, `tested` the test.
fn everything() -> Vec<Arrival> {
    let mut all = vec![arrival(0, 0, 1, 200), arrival(0, 1, 1, 200), arrival(2, 0, 1, 204)];
    for event in 0..2 {
        all.extend([(1, 500), (2, 503), (3, 200)].map(|(attempt, status)| arrival(1, event, attempt, status)));
    }
    all.push(Arrival { test: true, key: "of the test".to_owned(), ..arrival(TESTED, 0, 1, 200) });
    all
}

fn complaints(arrivals: &[Arrival]) -> Vec<String> {
    let mut ledger = ledger();
    arrivals.iter().for_each(|arrival| {
        ledger.arrived(arrival);
    });
    ledger.complaints()
}

#[test]
fn all_of_it_once_and_verified_is_content() {
    let mut ledger = ledger();
    for arrival in everything() {
        assert!(!(ledger.is_complete() && ledger.is_tested()));
        ledger.arrived(&arrival);
    }
    assert!(ledger.is_complete() && ledger.is_tested());
    assert_eq!(ledger.complaints(), Vec::<String>::new());
    assert_eq!((ledger.expected(), ledger.attempts()), (5, 9));
}

#[test]
fn whatever_is_missing_is_named() {
    let all = everything();
    for gone in 0..all.len() {
        let mut rest = all.clone();
        rest.remove(gone);
        assert_eq!(complaints(&rest).len(), 1, "without {:?}", all[gone]);
    }
    assert_eq!(complaints(&all[1..]), ["plain has not got whatsapp.message.received (0 attempts)"]);
}

#[test]
fn a_second_success_a_bad_signature_and_a_stray_are_named() {
    let mut twice = everything();
    twice.push(arrival(0, 1, 1, 200));
    assert_eq!(complaints(&twice), ["plain got order.paid 2 times"]);
    let mut forged = everything();
    forged[3].verified = Err("X-Webhook-Signature is wrong");
    assert_eq!(complaints(&forged), ["flaky could not verify 1 of 3 POSTs of whatsapp.message.received"]);
    let mut astray = everything();
    astray.push(arrival(2, 1, 1, 204));
    assert_eq!(complaints(&astray), ["strict got order.paid, which was not for it"]);
}

#[test]
fn what_a_visitor_publishes_does_not_count() {
    let mut all = everything();
    all.push(Arrival { key: "of another event".to_owned(), ..arrival(0, 1, 1, 200) });
    assert_eq!(complaints(&all), Vec::<String>::new());
}
