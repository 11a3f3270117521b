//! A webhook's signing secret.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::CryptoRng;

/// What a generated secret begins with, as Standard Webhooks has it.
const PREFIX: &str = "whsec_";

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
        let printable = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
        let spaced = text.starts_with(' ') || text.ends_with(' ');
        if (8..=256).contains(&text.len()) && printable && !spaced { Ok(Self(text)) } else { Err(InvalidSecret) }
    }

    /// `whsec_` and the base64 of 32 random bytes.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Self(format!("{PREFIX}{}", STANDARD.encode(key)))
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
        if self.decoded().is_some() { StandardKey::Base64 } else { StandardKey::Text }
    }

    /// The key of the Standard Webhooks signature.
    pub(crate) fn standard_key_bytes(&self) -> Cow<'_, [u8]> {
        self.decoded().map_or(Cow::Borrowed(self.0.as_bytes()), Cow::Owned)
    }

    /// The bytes of the strict, padded standard base64 after an optional `whsec_`, if it is that and not empty.
    fn decoded(&self) -> Option<Vec<u8>> {
        let text = self.0.strip_prefix(PREFIX).unwrap_or(&self.0);
        STANDARD.decode(text).ok().filter(|key| !key.is_empty())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned()).unwrap()
    }

    #[test]
    fn a_generated_secret_is_a_valid_one_with_a_32_byte_key_and_never_the_same() {
        let mut rng = StdRng::seed_from_u64(1);
        let (first, second) = (Secret::generate(&mut rng), Secret::generate(&mut rng));
        assert_ne!(first, second);
        assert_eq!(secret(first.expose()), first);
        assert!(first.expose().starts_with("whsec_"));
        assert_eq!(first.standard_key(), StandardKey::Base64);
        assert_eq!(first.standard_key_bytes().len(), 32);
        assert_eq!(first.last4(), &first.expose()[first.expose().len() - 4..]);
    }

    #[test]
    fn texts_outside_the_allowed_are_refused() {
        for right in ["12345678", "pass word with ~ and \"", &"a".repeat(256)] {
            assert!(Secret::new(right.to_owned()).is_ok(), "{right:?} was refused");
        }
        for wrong in
            ["", "1234567", " 12345678", "12345678 ", "1234\t5678", "1234567ä", "1234567\u{7f}", &"a".repeat(257)]
        {
            assert_eq!(Secret::new(wrong.to_owned()), Err(InvalidSecret), "{wrong:?}");
        }
    }

    #[test]
    fn only_strict_padded_standard_base64_is_decoded() {
        for base64 in ["whsec_YWJj", "YWJjZGVm", "whsec_YWJjZA==", &"0123456789abcdef".repeat(4)] {
            assert_eq!(secret(base64).standard_key(), StandardKey::Base64, "{base64}");
        }
        for text in [
            "whsec_YWJjZA",
            "whsec_YWJjZA=",
            "whsec_YWJjZB==",
            "whsec_ab-_",
            "whsec_YW Jj",
            "whsec_====",
            "whsec_!!",
            "my plain secret",
            "whsec_whsec_YWJj",
        ] {
            assert_eq!(secret(text).standard_key(), StandardKey::Text, "{text}");
            assert_eq!(&*secret(text).standard_key_bytes(), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn debug_does_not_show_it() {
        assert_eq!(format!("{:?}", secret("hunter22")), "Secret(…)");
    }
}
