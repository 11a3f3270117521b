use std::sync::Arc;

use fanfare_core::clock::Monotonic;
use parking_lot::Mutex;
use uuid::Uuid;

use super::super::cast::{CUSTOM_EVENT, DemoEvent, TESTED};
use super::super::ledger::Ledger;
use super::super::verify::idempotency_key;
use super::*;

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn shown(show: impl FnOnce(&mut Screen) -> io::Result<()>) -> String {
    let paper = Paper::default();
    show(&mut Screen::plain(Box::new(paper.clone()))).unwrap();
    let bytes = paper.0.lock().clone();
    String::from_utf8(bytes).unwrap()
}

fn at(millis: u64) -> Monotonic {
    Monotonic(Duration::from_millis(millis))
}

fn arrival(receiver: usize, event: &str, key: String, status: u16, millis: u64) -> Arrival {
    let event = event.to_owned();
    Arrival { receiver, event, key, attempt: 1, test: false, status, verified: Ok(()), at: at(millis) }
}

const LONGEST: &str = "whatsapp.conversation.created";

#[test]
fn lines_fit_80_columns_and_are_plain_where_nobody_sees_colour() {
    let api = "http://127.0.0.1:65535";
    let text = shown(|screen| {
        screen.opening(api, "/tmp/fanfare-demo-XXXXXX")?;
        for part in &RECEIVERS {
            screen.receiver(part, "http://127.0.0.1:65535/hooks")?;
        }
        screen.published(LONGEST, "duplicate", Duration::from_millis(59_999))?;
        let mut test = arrival(TESTED, LONGEST, String::new(), 503, 0);
        screen.arrived(&test, Some(Duration::from_millis(9999)))?;
        test.test = true;
        screen.arrived(&test, None)?;
        screen.table(&Ledger::new(vec![DemoEvent {
            id: "demo-1".to_owned(),
            event_type: LONGEST.to_owned(),
            data: serde_json::json!({}),
        }]))?;
        screen.next_steps(&NextSteps { api, admin: "http://127.0.0.1:65534", key: &"k".repeat(47) })
    });
    assert!(!text.contains('\u{1b}'), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    // What is to be copied is there, whole.
    for part in ["curl http://127.0.0.1:65534/metrics", &format!("-H 'X-API-Key: {}'", "k".repeat(47))] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn a_signature_that_does_not_verify_is_loud() {
    let mut forged = arrival(0, CUSTOM_EVENT, String::new(), 200, 0);
    forged.verified = Err("webhook-signature is wrong");
    assert!(shown(|screen| screen.arrived(&forged, None)).contains("NOT VERIFIED: webhook-signature is wrong"));
}

#[test]
fn the_table_tells_what_is_missing_from_what_came_once_and_what_came_twice() {
    let event = |id: &str, event_type: &str| DemoEvent {
        id: id.to_owned(),
        event_type: event_type.to_owned(),
        data: serde_json::json!({}),
    };
    let (plain, flaky) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut ledger = Ledger::new(vec![event("demo-1", "whatsapp.message.read"), event("demo-2", CUSTOM_EVENT)]);
    ledger.webhook(0, &plain);
    ledger.webhook(1, &flaky);
    ledger.publishing(0, at(100));
    ledger.publishing(1, at(200));
    let read = arrival(0, "whatsapp.message.read", idempotency_key(&plain, "demo-1"), 200, 110);
    let paid = |status, millis| arrival(1, CUSTOM_EVENT, idempotency_key(&flaky, "demo-2"), status, millis);
    for arrival in [&read, &read, &paid(500, 220), &paid(503, 1220), &paid(200, 2220)] {
        ledger.arrived(arrival);
    }
    let text = shown(|screen| screen.table(&ledger));
    let cells = |name: &str| -> Vec<String> {
        let row = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).skip(1).map(str::to_owned).collect()
    };
    assert_eq!(cells("whatsapp.message.read"), ["2 TIMES", ".", "MISSING", "."]);
    assert_eq!(cells(CUSTOM_EVENT), ["MISSING", "3 POSTs", ".", "."]);
    assert_eq!(cells("delivered"), ["1 of 2", "1 of 1", "0 of 1", "0 of 0"]);
    assert!(Timings::of(&ledger).is_none(), "there are no timings of what has not arrived");
}
