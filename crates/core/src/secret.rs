//! A webhook's signing secret.

use std::fmt;

use rand::CryptoRng;

/// A signing secret: 8 to 256 characters of 0x20 to 0x7E, no space at the ends. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a text is not a secret; it never holds the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a secret has 8 to 256 printable ASCII characters and no space at either end")]
pub struct InvalidSecret;

/// Where the key of the Standard Webhooks signature comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardKey {
    /// The bytes of the base64 after an optional `whsec_`.
    Base64,
    /// The secret's text, since it is not base64: Standard Webhooks libraries cannot verify it.
    Text,
}

impl Secret {
    /// Takes a user's own secret.
    ///
    /// # Errors
    /// When it is not as allowed.
    pub fn new(text: String) -> Result<Self, InvalidSecret> {
        let _ = text;
        todo!()
    }

    /// `whsec_` and the base64 of 32 random bytes.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let _ = rng;
        todo!()
    }

    /// The text, for signing, sealing, and the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four characters, which reads show.
    pub fn last4(&self) -> &str {
        &self.0[self.0.len() - 4..]
    }

    /// Where the key of the Standard Webhooks signature comes from.
    pub fn standard_key(&self) -> StandardKey {
        todo!()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
