//! What a filter costs: reading an event's data once, and asking it about many webhooks' filters.
//!
//! `cargo bench -p fanfare-core --bench filter`.

use std::hint::black_box;

use criterion::Criterion;
use fanfare_core::catalogue::Catalogue;
use fanfare_core::event::EventType;
use fanfare_core::filter::{Filter, FilterData, MAX_CONDITIONS};
use fanfare_core::normalise::normalise;
use serde_json::{Value, json};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let event_type = EventType::new("whatsapp.message.received").expect("a type of the catalogue");
    let sample = &Catalogue::builtin().get(&event_type).expect("it is in the catalogue").sample;
    let data = normal(sample);
    let common = filter(json!({
        "message": {"type": ["text", "image"], "kapso": {"direction": ["inbound"], "content": [{"prefix": "Is my"}]}},
        "conversation": {"phone_number": [{"anything-but": {"prefix": "+49"}}]}
    }));
    let name = format!("one filter of 4 conditions, {} bytes of data", data.len());
    criterion.bench_function(&name, |bencher| {
        bencher.iter(|| black_box(&common).matches(&FilterData::new(black_box(&data))));
    });
    criterion.bench_function("a hundred such filters, the same event", |bencher| {
        bencher.iter(|| {
            let data = FilterData::new(black_box(&data));
            (0..100).filter(|_| black_box(&common).matches(&data)).count()
        });
    });

    // The most that one webhook can cost: each condition is asked of each value of the largest data.
    let numbers: Vec<Value> = (0..40_000).map(|number| json!(number + 10_000)).collect();
    let large = normal(&json!({"n": numbers}));
    let ranges: Vec<Value> = (0..MAX_CONDITIONS).map(|_| json!({"numeric": ["<", 5]})).collect();
    let worst = filter(json!({"n": ranges}));
    criterion.bench_function(&format!("{MAX_CONDITIONS} ranges, {} bytes of numbers", large.len()), |bencher| {
        bencher.iter(|| black_box(&worst).matches(&FilterData::new(black_box(&large))));
    });
    criterion.final_summary();
}

fn filter(json: Value) -> Filter {
    Filter::parse(json, "$").expect("it is a filter")
}

fn normal(value: &Value) -> bytes::Bytes {
    normalise(value.to_string().as_bytes(), "$").expect("it has a normal form")
}
