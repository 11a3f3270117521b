//! The two signatures of a request: `X-Webhook-Signature`, and that of Standard Webhooks 1.0.

use std::fmt;

use crate::clock::Timestamp;
use crate::secret::Secret;

/// Shows bytes as lowercase hex.
#[derive(Clone, Copy)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A secret made ready for signing: the keyed states of both HMACs, computed once.
#[derive(Clone)]
pub struct SigningKey {}

impl SigningKey {
    /// Prepares a secret.
    pub fn new(secret: &Secret) -> Self {
        let _ = secret;
        todo!()
    }

    /// `X-Webhook-Signature`: lowercase hex of HMAC-SHA256 over the body, keyed with the secret's text.
    pub fn body_signature(&self, body: &[u8]) -> String {
        let _ = body;
        todo!()
    }

    /// `webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, keyed with the decoded secret.
    pub fn standard_signature(&self, id: &str, timestamp: Timestamp, body: &[u8]) -> String {
        let _ = (id, timestamp, body);
        todo!()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}
