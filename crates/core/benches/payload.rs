//! What a payload costs for each attempt: v2 without and with a configuration to leave out, and v1.
//!
//! `cargo bench -p fanfare-core --bench payload`.

use std::hint::black_box;

use criterion::Criterion;
use fanfare_core::catalogue::Catalogue;
use fanfare_core::event::EventType;
use fanfare_core::normalise::normalise;
use fanfare_core::payload::Payload;
use fanfare_core::webhook::PayloadVersion;
use serde_json::json;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let event_type = EventType::new("whatsapp.message.received").expect("a type of the catalogue");
    let plain = Catalogue::builtin().get(&event_type).expect("it is in the catalogue").sample.clone();
    let mut configured = plain.clone();
    configured["whatsapp_config"] = json!({"id": "cfg-1", "name": "Support", "phone_number_id": "100200300400500"});
    for (name, version, data) in [
        ("v2", PayloadVersion::V2, &plain),
        ("v2, a configuration left out", PayloadVersion::V2, &configured),
        ("v1", PayloadVersion::V1, &configured),
    ] {
        let data = normalise(data.to_string().as_bytes(), "$").expect("a sample is JSON");
        let name = format!("{name}, {} bytes of data", data.len());
        criterion.bench_function(&name, |bencher| {
            bencher.iter(|| Payload::new(version, black_box(&event_type), black_box(&data)));
        });
    }
}
