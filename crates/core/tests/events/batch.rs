//! Batches: each event judged for itself.

use fanfare_core::event::{Event, EventError, EventErrorKind, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, json};

use crate::reading;

fn parse_batch(batch: &str) -> Result<Vec<Result<Event, EventError>>, EventError> {
    reading(|reading| json::parse_batch(batch.as_bytes(), reading))
}

#[test]
fn a_bad_event_does_not_spoil_the_others() {
    let results = parse_batch(&format!(
        r#" [ {{"type":"a","data":{{"n":[1]}}}}, {{"type":7,"data":{{}}}}, 5, {{"type":"b","data":{{"x":{{"y":"\ud800"}}}}}},
              {{"type":"c","data":{}{}}}, {{"type":"d","id":"d-1","data":[]}} ] "#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    ))
    .unwrap();
    let paths: Vec<_> = results.iter().map(|result| result.as_ref().map_err(|error| error.path.as_str())).collect();
    assert_eq!(paths.len(), 6);
    assert_eq!(paths[0].unwrap().header.id.as_str(), "evt_00000000000000000000000001");
    assert_eq!(paths[0].unwrap().data, r#"{"n":[1]}"#);
    assert_eq!(paths[1].unwrap_err(), "$[1].type");
    assert_eq!(paths[2].unwrap_err(), "$[2]");
    assert_eq!(paths[3].unwrap_err(), "$[3].data.x.y");
    assert!(paths[4].unwrap_err().starts_with("$[4].data[0][0]"));
    assert_eq!(paths[5].unwrap().header.id.as_str(), "d-1");
}

#[test]
fn text_that_is_no_json_array_is_refused_as_a_whole() {
    let good = r#"{"type":"a","data":{}}"#;
    for (batch, said) in [
        (format!("[{good},{good}"), "unexpected end"),
        (format!("[{good} {good}]"), "expected , or ]"),
        (format!("[{good},]"), "expected a value"),
        (format!("[{good}] {good}"), "expected the end"),
        (format!("[{good},{{\"type\":\"a\",}}]"), "expected a key"),
        (good.to_owned(), "must be an array"),
        (String::new(), "unexpected end"),
    ] {
        let error = parse_batch(&batch).unwrap_err();
        let kind = if batch == good { EventErrorKind::Invalid } else { EventErrorKind::Malformed };
        assert_eq!((error.kind, error.path.as_str()), (kind, "$"), "{batch}");
        assert!(error.message.contains(said), "{batch}: {error}");
    }
    assert!(parse_batch("[ ]").unwrap().is_empty());
}

#[test]
fn a_batch_is_bounded_in_events_and_bytes() {
    let of = |count: usize| format!("[{}]", vec![r#"{"type":"a","data":{}}"#; count].join(","));
    assert_eq!(parse_batch(&of(MAX_BATCH_EVENTS)).unwrap().len(), MAX_BATCH_EVENTS);
    let padded = |bytes: usize| format!("{}[]", " ".repeat(bytes - 2));
    assert!(parse_batch(&padded(MAX_BATCH_BYTES)).is_ok());
    for batch in [of(MAX_BATCH_EVENTS + 1), padded(MAX_BATCH_BYTES + 1)] {
        assert_eq!(parse_batch(&batch).unwrap_err().kind, EventErrorKind::TooLarge);
    }
}

#[test]
fn a_refused_item_is_told_with_the_id_it_was_sent_with() {
    let batch = r#"[{"type":"a b","data":{},"id":"one"}, {"id":"t w o"}, {"id":2}, 7, {"id":"a","id":"b"}]"#;
    let told: Vec<_> = parse_batch(batch).unwrap().into_iter().map(|item| item.unwrap_err().id).collect();
    let told: Vec<_> = told.iter().map(|id| id.as_ref().map(fanfare_core::ids::EventId::as_str)).collect();
    assert_eq!(told, [Some("one"), None, None, None, None]);
}
