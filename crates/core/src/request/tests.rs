//! The headers of a request.

use super::*;
use crate::secret::Secret;

fn template(own: &[(&str, &str)]) -> RequestTemplate {
    let secret = Secret::new("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()).unwrap();
    RequestTemplate {
        signing: SigningKey::new(&secret),
        previous: None,
        own_headers: own.iter().map(|(name, value)| check_own_header(name, value).unwrap()).collect(),
        kind: WebhookKind::Kapso,
        payload_version: PayloadVersion::V2,
    }
}

fn payload(event_type: &str, body: &str) -> Payload {
    let event_type = EventType::new(event_type).unwrap();
    template(&[]).payload(&event_type, &Bytes::copy_from_slice(body.as_bytes()))
}

fn parts(payload: &Payload) -> RequestParts<'_> {
    RequestParts {
        payload,
        key: "5a1c0c1e-6d0b-5b8e-9a51-1f0d8a3b9c11".parse().unwrap(),
        attempt: 3,
        at: Timestamp::from_seconds(1_765_000_001),
        test: false,
    }
}

fn shown(headers: &HeaderMap) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
}

#[test]
fn a_request_has_exactly_the_headers_of_the_wire_format_in_its_order() {
    // Secret, body, id, time and both signatures are the first of the shared vectors.
    let body = concat!(
        r#"{"message":{"id":"wamid.AAA1","timestamp":"1765000000","type":"text","#,
        r#""text":{"body":"Is my order ready?"}},"phone_number_id":"100200300400500"}"#
    );
    let payload = payload("whatsapp.message.received", body);
    let headers = template(&[("Authorization", "Bearer 123")]).headers(&parts(&payload));
    let expected = [
        ("content-type", "application/json"),
        ("user-agent", concat!("Fanfare/", env!("CARGO_PKG_VERSION"))),
        ("x-webhook-event", "whatsapp.message.received"),
        ("x-webhook-signature", "6aa5e9acb37cedd26d8dc70ab2412c5d94a66f6bbdd7c404052aa935d6989a51"),
        ("x-idempotency-key", "5a1c0c1e-6d0b-5b8e-9a51-1f0d8a3b9c11"),
        ("x-webhook-payload-version", "v2"),
        ("x-webhook-attempt", "3"),
        ("webhook-id", "5a1c0c1e-6d0b-5b8e-9a51-1f0d8a3b9c11"),
        ("webhook-timestamp", "1765000001"),
        ("webhook-signature", "v1,4kZKzLsxVDfXXD/5QmtKg2JIbh0Par/PVRjDMWIBN2M="),
        ("authorization", "Bearer 123"),
    ];
    assert_eq!(shown(&headers), expected);
}

#[test]
fn a_raw_body_has_metas_headers_and_none_by_which_it_would_be_taken_for_another_kind() {
    let template = RequestTemplate { kind: WebhookKind::Meta, ..template(&[("X-Token", "one")]) };
    let body = Bytes::from_static(b"{ \"a\" : \"\\u00e9\" }");
    let payload = template.payload(&meta::raw_type(), &body);
    assert_eq!(payload.body, body);
    let headers = template.headers(&parts(&payload));
    let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    let expected = [
        "content-type",
        "user-agent",
        "x-hub-signature-256",
        "x-idempotency-key",
        "x-webhook-attempt",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "x-token",
    ];
    assert_eq!(names, expected);
    let signature = format!("sha256={}", template.signing.body_signature(&body));
    assert_eq!(headers["x-hub-signature-256"], signature.as_str());
    assert_eq!(headers["x-idempotency-key"], meta::idempotency_key(&body).as_str());
    assert_eq!(headers["webhook-id"], headers["x-idempotency-key"]);
    let at = Timestamp::from_seconds(1_765_000_001);
    let standard = template.signing.standard_signature(&meta::idempotency_key(&body), at, &body);
    assert_eq!(headers["webhook-signature"], standard.as_str());
}

#[test]
fn what_is_mapped_to_v1_is_signed_and_named_as_it_is_sent() {
    let template = RequestTemplate { payload_version: PayloadVersion::V1, ..template(&[]) };
    let event_type = EventType::new("whatsapp.phone_number.created").unwrap();
    let payload = template.payload(&event_type, &Bytes::from_static(br#"{"phone_number_id":"1"}"#));
    assert_eq!(payload.body, r#"{"whatsapp_config":{"id":"1","phone_number_id":"1"}}"#);
    let headers = template.headers(&parts(&payload));
    assert_eq!(headers["x-webhook-event"], "whatsapp.config.created");
    assert_eq!(headers["x-webhook-payload-version"], "v1");
    assert_eq!(headers["x-webhook-signature"], template.signing.body_signature(&payload.body));
}

#[test]
fn only_a_test_delivery_says_that_it_is_one() {
    let payload = payload("order.paid", "{}");
    let template = template(&[]);
    let parts = parts(&payload);
    assert!(!template.headers(&parts).contains_key("x-webhook-test"));
    let test = template.headers(&RequestParts { test: true, ..parts });
    assert_eq!(test["x-webhook-test"], "true");
    assert_eq!(test["x-webhook-signature"], template.headers(&parts)["x-webhook-signature"]);
}

#[test]
fn both_secrets_sign_until_the_overlap_ends_and_then_the_new_one_alone() {
    #[derive(serde::Deserialize)]
    struct Vector {
        secret: String,
        body: String,
        x_webhook_signature: String,
        webhook_id: String,
        webhook_timestamp: i64,
        webhook_signature: String,
    }
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../vectors/signatures.json")).unwrap();
    let key = |vector: &Vector| SigningKey::new(&Secret::new(vector.secret.clone()).unwrap());
    let mut seen = 0;
    for (old, new) in vectors.iter().flat_map(|old| vectors.iter().map(move |new| (old, new))) {
        // Some vectors sign under ids of other libraries, which no request of ours has.
        let Ok(id) = new.webhook_id.parse() else { continue };
        seen += 1;
        let at = Timestamp::from_seconds(new.webhook_timestamp);
        let millisecond = std::time::Duration::from_millis(1);
        let with = |until| RequestTemplate {
            signing: key(new),
            previous: Some(PreviousSigning { key: key(old), until }),
            ..template(&[])
        };
        let payload = payload("order.paid", &new.body);
        let parts = RequestParts { at, key: id, ..parts(&payload) };

        let during = with(at.after(millisecond)).headers(&parts);
        assert_eq!(during["x-webhook-signature"], new.x_webhook_signature);
        assert_eq!(during["x-webhook-signature-previous"], key(old).body_signature(&payload.body));
        let previous = key(old).standard_signature(&new.webhook_id, at, &payload.body);
        assert_eq!(during["webhook-signature"], format!("{} {previous}", new.webhook_signature));
        if (&old.body, &old.webhook_id, old.webhook_timestamp) == (&new.body, &new.webhook_id, new.webhook_timestamp) {
            assert_eq!(during["x-webhook-signature-previous"], old.x_webhook_signature);
            assert_eq!(previous, old.webhook_signature);
        }

        let after = with(at).headers(&parts);
        assert_eq!(after["x-webhook-signature"], new.x_webhook_signature);
        assert_eq!(after["webhook-signature"], new.webhook_signature);
        assert!(!after.contains_key("x-webhook-signature-previous"));
    }
    assert!(seen > vectors.len(), "the vectors have ids of ours, under more than one secret");
}

#[test]
fn an_own_header_replaces_nothing() {
    let mut template = template(&[("X-Token", "one")]);
    let foreign = (X_WEBHOOK_SIGNATURE, HeaderValue::from_static("forged"));
    template.own_headers = template.own_headers.iter().cloned().chain([foreign]).collect();
    let headers = template.headers(&parts(&payload("order.paid", "{}")));
    assert_ne!(headers["x-webhook-signature"], "forged");
    assert_eq!(headers.get_all("x-webhook-signature").iter().count(), 1);
    assert_eq!(headers["x-token"], "one");
}

#[test]
fn the_log_shows_every_header_but_no_own_value() {
    let template = template(&[("X-Token", "hunter22")]);
    let headers = template.headers(&parts(&payload("order.paid", "{}")));
    let masked = template.masked(&headers);
    assert_eq!(masked.len(), headers.len());
    assert!(masked.iter().any(|header| header == ("x-token", "***")), "{masked:?}");
    assert!(masked.iter().any(|header| header == ("x-webhook-event", "order.paid")), "{masked:?}");
    assert!(!format!("{masked:?}{headers:?}{template:?}").contains("hunter22"));
}
