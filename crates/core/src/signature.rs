//! The two signatures of a request: `X-Webhook-Signature`, and that of Standard Webhooks 1.0.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock::Timestamp;
use crate::secret::Secret;

/// Shows bytes as lowercase hex.
#[derive(Clone, Copy)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        self.0.iter().try_for_each(|byte| {
            f.write_char(DIGITS[usize::from(byte >> 4)])?;
            f.write_char(DIGITS[usize::from(byte & 15)])
        })
    }
}

/// A secret made ready for signing: the keyed states of both HMACs, computed once.
#[derive(Clone)]
pub struct SigningKey {
    body: Hmac<Sha256>,
    standard: Hmac<Sha256>,
}

impl SigningKey {
    /// Prepares a secret.
    pub fn new(secret: &Secret) -> Self {
        Self { body: keyed(secret.expose().as_bytes()), standard: keyed(&secret.standard_key_bytes()) }
    }

    /// `X-Webhook-Signature`: lowercase hex of HMAC-SHA256 over the body, keyed with the secret's text.
    pub fn body_signature(&self, body: &[u8]) -> String {
        let digest = self.body.clone().chain_update(body).finalize().into_bytes();
        let mut signature = String::with_capacity(2 * digest.len());
        // Writing to a String does not fail.
        let _ = write!(signature, "{}", Hex(&digest));
        signature
    }

    /// `webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, keyed with the decoded secret.
    pub fn standard_signature(&self, id: &str, timestamp: Timestamp, body: &[u8]) -> String {
        let mac = self.standard.clone().chain_update(id).chain_update(".");
        let mac = mac.chain_update(webhook_timestamp(timestamp)).chain_update(".").chain_update(body);
        let mut signature = String::with_capacity(3 + 44);
        signature.push_str("v1,");
        STANDARD.encode_string(mac.finalize().into_bytes(), &mut signature);
        signature
    }
}

/// `webhook-timestamp`: whole seconds since the Unix epoch.
pub fn webhook_timestamp(timestamp: Timestamp) -> String {
    timestamp.as_seconds().to_string()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length (RFC 2104, section 2)")
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::secret::StandardKey;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Vector {
        name: String,
        secret: String,
        body: String,
        x_webhook_signature: String,
        webhook_id: String,
        webhook_timestamp: i64,
        webhook_signature: String,
        standard_key: String,
    }

    #[test]
    fn every_vector_is_signed_as_it_says() {
        let vectors: Vec<Vector> = serde_json::from_str(include_str!("../vectors/signatures.json")).unwrap();
        assert!(!vectors.is_empty());
        for vector in vectors {
            let secret = Secret::new(vector.secret).unwrap();
            let standard_key = match secret.standard_key() {
                StandardKey::Base64 => "base64",
                StandardKey::Text => "text",
            };
            assert_eq!(standard_key, vector.standard_key, "{}", vector.name);
            let key = SigningKey::new(&secret);
            let body = vector.body.as_bytes();
            assert_eq!(key.body_signature(body), vector.x_webhook_signature, "{}", vector.name);
            // Within the second the signature is the same: only whole seconds are signed and sent.
            let at = Timestamp::from_millis(vector.webhook_timestamp * 1000 + 999);
            assert_eq!(webhook_timestamp(at), vector.webhook_timestamp.to_string(), "{}", vector.name);
            let signature = key.standard_signature(&vector.webhook_id, at, body);
            assert_eq!(signature, vector.webhook_signature, "{}", vector.name);
        }
    }

    #[test]
    fn a_key_signs_any_number_of_bodies_and_does_not_show_itself() {
        let key = SigningKey::new(&Secret::new("my plain secret 123".to_owned()).unwrap());
        assert_eq!(key.body_signature(b"one"), key.body_signature(b"one"));
        assert_ne!(key.body_signature(b"one"), key.body_signature(b"two"));
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }

    #[test]
    fn hex_is_lowercase_and_two_digits_a_byte() {
        assert_eq!(Hex(&[0x00, 0x0f, 0xa0, 0xff]).to_string(), "000fa0ff");
    }
}
