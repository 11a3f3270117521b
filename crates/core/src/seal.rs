//! Encryption at rest of what receivers trust us with: signing secrets and the values of webhooks' own headers.

use std::fmt;

use rand::CryptoRng;
use serde::{Deserialize, Serialize};

/// A sealed text: `v1.<key id>.<base64 of nonce and ciphertext>`, XChaCha20-Poly1305.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

/// Why a sealed text cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is not in the form of a sealed text.
    #[error("a sealed value is not in the form that this version writes")]
    Malformed,
    /// It was sealed with another key.
    #[error("a sealed value needs the encryption key {0}, which is not configured")]
    UnknownKey(String),
    /// It was changed, moved from another record, or the key differs under the same id.
    #[error("a sealed value does not open with its key: it was changed, or the key is another one")]
    Refused,
}

/// The encryption key with its id.
#[derive(Clone)]
pub struct SealingKey {
    id: String,
    key: chacha20poly1305::Key,
}

/// Why a text is not an encryption key; it says what is allowed and never holds the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an encryption key is 32 bytes in base64, or `<id>:` and that, the id 1 to 16 of a-z, 0-9 and -")]
pub struct InvalidSealingKey;

impl SealingKey {
    /// Parses `<base64 of 32 bytes>` or `<id>:<base64>`. Without an id it is `k` and the first 8 hex digits of the key's SHA-256.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidSealingKey> {
        let _ = text;
        todo!()
    }

    /// A new key, and the text that [`SealingKey::parse`] takes.
    pub fn generate(rng: &mut dyn CryptoRng) -> (Self, String) {
        let _ = rng;
        todo!()
    }

    /// The key's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a text for a context, without which it does not open.
    pub fn seal(&self, text: &str, context: &str, rng: &mut dyn CryptoRng) -> Sealed {
        let _ = (text, context, rng, &self.key);
        todo!()
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    /// When the text is malformed, changed, or sealed with another key or for another context.
    pub fn open(&self, sealed: &Sealed, context: &str) -> Result<String, SealError> {
        let _ = (sealed, context);
        todo!()
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("id", &self.id).finish_non_exhaustive()
    }
}
