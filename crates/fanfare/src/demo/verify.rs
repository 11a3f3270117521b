//! What a careful receiver does with a request, written from the documented rules alone: nothing here uses the code that
//! signs.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_core::clock::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

/// How far an attempt's timestamp may be from now, as Standard Webhooks recommends: 5 minutes.
const TOLERANCE_SECONDS: i64 = 300;

/// Verifies both signatures of a request.
///
/// # Errors
/// What does not hold, in a few words.
pub(super) fn verify(headers: &HeaderMap, body: &[u8], secret: &str, now: Timestamp) -> Result<(), &'static str> {
    let id = text(headers, "webhook-id").ok_or("no webhook-id")?;
    if text(headers, "x-idempotency-key") != Some(id) {
        return Err("webhook-id is not X-Idempotency-Key");
    }
    let signature = text(headers, "x-webhook-signature").ok_or("no X-Webhook-Signature")?;
    let expected = unhex(signature).ok_or("X-Webhook-Signature is not hex")?;
    mac(secret.as_bytes(), &[body]).verify_slice(&expected).map_err(|_| "X-Webhook-Signature is wrong")?;

    let timestamp = text(headers, "webhook-timestamp").ok_or("no webhook-timestamp")?;
    let seconds: i64 = timestamp.parse().map_err(|_| "webhook-timestamp is not a number")?;
    if (now.as_seconds() - seconds).abs() > TOLERANCE_SECONDS {
        return Err("webhook-timestamp is too far from now");
    }
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let signatures = text(headers, "webhook-signature").ok_or("no webhook-signature")?;
    let key = standard_key(secret);
    let holds = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,")).any(|signature| {
        STANDARD.decode(signature).is_ok_and(|expected| mac(&key, &signed).verify_slice(&expected).is_ok())
    });
    if holds { Ok(()) } else { Err("webhook-signature is wrong") }
}

/// The idempotency key by its rule: UUIDv5, namespace the webhook's UUID, name the event's id.
pub(super) fn idempotency_key(webhook: &Uuid, event: &str) -> String {
    Uuid::new_v5(webhook, event.as_bytes()).to_string()
}

/// The text of a header.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The base64 after an optional `whsec_`; of a secret that is not that, its text.
fn standard_key(secret: &str) -> Vec<u8> {
    let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
    STANDARD.decode(encoded).unwrap_or_else(|_| secret.as_bytes().to_vec())
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Two requests with a generated secret and a user's own, signed by other programs.
    const GENERATED: [&str; 4] = [
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "{\"email\":\"test@example.com\",\"username\":\"test_user\"}",
        "e0fc16c6d4a28f39a6e0935569f05d86e87367db24a4b6d9271215c603e49f6a",
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ];
    const OWN: [&str; 4] = [
        "my plain secret 123",
        "{\"test\":true}",
        "895e74a068297e6b905de26e36d03c88612e685154e353fac907c12abb33a887",
        "v1,Lusj2SZi9jl3QgLaUKXePrVNTnqZYcxjh27BQlkmEyc=",
    ];

    fn request(id: &str, timestamp: &str, signatures: [&str; 2]) -> HeaderMap {
        let pairs = [
            ("webhook-id", id),
            ("x-idempotency-key", id),
            ("webhook-timestamp", timestamp),
            ("x-webhook-signature", signatures[0]),
            ("webhook-signature", signatures[1]),
        ];
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_others_signed_verifies_and_what_was_changed_does_not() {
        for ([secret, body, own, standard], id, time) in [
            (GENERATED, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553),
            (OWN, "5a1c0c1e-6d0b-5b8e-9a51-1f0d8a3b9c11", 1_765_000_002),
        ] {
            let now = Timestamp::from_seconds(time + 10);
            let headers = request(id, &time.to_string(), [own, standard]);
            assert_eq!(verify(&headers, body.as_bytes(), secret, now), Ok(()));
            assert!(verify(&headers, b"{}", secret, now).is_err());
            assert!(verify(&headers, body.as_bytes(), "whsec_AAECAwQFBgcICQoLDA0ODw==", now).is_err());
            assert!(verify(&headers, body.as_bytes(), secret, Timestamp::from_seconds(time + 301)).is_err());
            let later = request(id, &(time + 1).to_string(), [own, standard]);
            assert_eq!(verify(&later, body.as_bytes(), secret, now), Err("webhook-signature is wrong"));
            let other = request(id, &time.to_string(), [&own.replace('e', "d"), standard]);
            assert_eq!(verify(&other, body.as_bytes(), secret, now), Err("X-Webhook-Signature is wrong"));
        }
    }
}
