//! Raw Meta bodies, which are kept byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_core::event::{EventErrorKind, MAX_DATA_BYTES};
use fanfare_core::meta;

use crate::{parse, parse_binary, refusal};

fn structured(raw: &[u8]) -> String {
    format!(r#"{{"data_base64":"{}","type":"whatsapp.meta.raw"}}"#, STANDARD.encode(raw))
}

#[test]
fn both_forms_keep_every_byte_and_find_the_number() {
    let body = String::from_utf8(meta::sample().to_vec()).unwrap().replace(',', " ,\n") + "\n";
    let json = parse(&structured(body.as_bytes())).unwrap();
    let binary = parse_binary(&[("ce-type", "whatsapp.meta.raw")], &body).unwrap();
    for event in [&json, &binary] {
        assert_eq!(event.data, body.as_bytes());
        assert_eq!(event.header.source.as_ref().unwrap().as_str(), "100200300400500");
    }
    assert_eq!(json.content, binary.content, "the same event in both forms");
    let other = parse(&structured(&[0xff, 0x00])).unwrap();
    assert_eq!((&other.data[..], other.header.source), (&[0xff, 0x00][..], None));
}

#[test]
fn what_is_not_as_it_should_be_is_named() {
    for (json, path) in [
        (r#"{"type":"whatsapp.meta.raw","data":{}}"#, "$.data"),
        (r#"{"type":"whatsapp.meta.raw","data":{},"data_base64":"e30="}"#, "$.data"),
        (r#"{"type":"whatsapp.meta.raw"}"#, "$.data_base64"),
        (r#"{"type":"whatsapp.meta.raw","data_base64":null}"#, "$.data_base64"),
        (r#"{"type":"whatsapp.meta.raw","data_base64":"e30"}"#, "$.data_base64"),
        (r#"{"type":"whatsapp.meta.raw","data_base64":7}"#, "$.data_base64"),
        (r#"{"type":"whatsapp.meta.raw","data_base64":""}"#, "$.data"),
        (r#"{"type":"order.paid","data":{},"data_base64":"e30="}"#, "$.data_base64"),
    ] {
        assert_eq!(refusal(parse(json)).0, path, "{json}");
    }
    let large = parse(&structured(&vec![b'a'; MAX_DATA_BYTES + 1])).unwrap_err();
    assert_eq!(large.kind, EventErrorKind::TooLarge);
    assert_eq!(parse(&structured(&vec![b'a'; MAX_DATA_BYTES])).unwrap().data.len(), MAX_DATA_BYTES);
}
