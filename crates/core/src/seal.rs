//! Encryption at rest of what receivers trust us with: signing secrets and the values of webhooks' own headers.
//!
//! A sealed value opens only with the key that it names and for the context that it was sealed for, so that a value
//! copied into another record is as useless as a changed one. Where keys come from and how they are kept is the
//! configuration's business.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::signature::Hex;

/// The form in which this version seals.
const VERSION: &str = "v1";
/// The bytes of a nonce. They are random: with 24, chance does not repeat one.
const NONCE_BYTES: usize = 24;
/// The bytes of a key.
const KEY_BYTES: usize = 32;

/// A sealed text: `v1.<key id>.<base64 of nonce and ciphertext>`, XChaCha20-Poly1305.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        let (id, encoded) = match text.split_once(':') {
            Some((id, encoded)) => (Some(id), encoded),
            None => (None, text),
        };
        let key: [u8; KEY_BYTES] =
            STANDARD.decode(encoded).ok().and_then(|key| key.try_into().ok()).ok_or(InvalidSealingKey)?;
        match id {
            Some(id) if is_key_id(id) => Ok(Self { id: id.to_owned(), key: key.into() }),
            Some(_) => Err(InvalidSealingKey),
            None => Ok(Self::unnamed(key)),
        }
    }

    /// A new key, and the text that [`SealingKey::parse`] takes.
    pub fn generate(rng: &mut dyn CryptoRng) -> (Self, String) {
        let mut key = [0; KEY_BYTES];
        rng.fill_bytes(&mut key);
        (Self::unnamed(key), STANDARD.encode(key))
    }

    fn unnamed(key: [u8; KEY_BYTES]) -> Self {
        let digest = Sha256::digest(key);
        Self { id: format!("k{}", Hex(&digest[..4])), key: key.into() }
    }

    /// The key's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a text for a context, without which it does not open.
    pub fn seal(&self, text: &str, context: &str, rng: &mut dyn CryptoRng) -> Sealed {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let aad = self.associated_data(context);
        let payload = Payload { msg: text.as_bytes(), aad: aad.as_bytes() };
        let ciphertext = XChaCha20Poly1305::new(&self.key)
            .encrypt(&XNonce::from(nonce), payload)
            .expect("encryption fails only on more than 256 GiB, and secrets and header values are bounded");
        let encoded = STANDARD.encode([&nonce[..], &ciphertext].concat());
        Sealed(format!("{VERSION}.{}.{encoded}", self.id))
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    /// When the text is malformed, changed, or sealed with another key or for another context.
    pub fn open(&self, sealed: &Sealed, context: &str) -> Result<String, SealError> {
        let (key_id, encoded) = sealed.parts().ok_or(SealError::Malformed)?;
        if key_id != self.id {
            return Err(SealError::UnknownKey(key_id.to_owned()));
        }
        let bytes = STANDARD.decode(encoded).map_err(|_| SealError::Malformed)?;
        let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        let aad = self.associated_data(context);
        let payload = Payload { msg: ciphertext, aad: aad.as_bytes() };
        let opened = XChaCha20Poly1305::new(&self.key).decrypt(&XNonce::from(*nonce), payload);
        String::from_utf8(opened.map_err(|_| SealError::Refused)?).map_err(|_| SealError::Malformed)
    }

    /// What is authenticated besides the text. Neither version nor id has a dot, so no two contexts share a form.
    fn associated_data(&self, context: &str) -> String {
        format!("{VERSION}.{}.{context}", self.id)
    }
}

impl Sealed {
    /// The key's id and the base64 of nonce and ciphertext.
    fn parts(&self) -> Option<(&str, &str)> {
        let (key_id, encoded) = self.0.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')?;
        is_key_id(key_id).then_some((key_id, encoded))
    }
}

/// Whether a text may name a key: 1 to 16 of a-z, 0-9 and -.
fn is_key_id(id: &str) -> bool {
    (1..=16).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn key() -> SealingKey {
        SealingKey::parse(KEY).unwrap()
    }

    fn rng() -> StdRng {
        StdRng::seed_from_u64(3)
    }

    #[test]
    fn a_key_has_the_id_it_is_given_or_one_of_its_own_digest() {
        // SHA-256 of the bytes 0 to 31 begins with 630dcd29.
        assert_eq!(key().id(), "k630dcd29");
        assert_eq!(SealingKey::parse(&format!("2026-a:{KEY}")).unwrap().id(), "2026-a");
        let (generated, text) = SealingKey::generate(&mut rng());
        assert_eq!(SealingKey::parse(&text).unwrap().id(), generated.id());
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        let long_id = format!("{}:{KEY}", "a".repeat(17));
        for wrong in [
            "",
            "short",
            "AAECAwQFBgcICQoLDA0ODw==",
            KEY.trim_end_matches('='),
            &format!(":{KEY}"),
            &format!("A:{KEY}"),
            &format!("a.b:{KEY}"),
            &format!("a:b:{KEY}"),
            &format!("{KEY} "),
            &long_id,
            "id:",
        ] {
            assert_eq!(SealingKey::parse(wrong).err(), Some(InvalidSealingKey), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn it_opens_only_for_its_context() {
        let sealed = key().seal("hunter22", "webhook/1/secret", &mut rng());
        assert_eq!(key().open(&sealed, "webhook/1/secret").unwrap(), "hunter22");
        assert_eq!(key().open(&sealed, "webhook/2/secret"), Err(SealError::Refused));
        assert_eq!(key().open(&sealed, ""), Err(SealError::Refused));
    }

    #[test]
    fn it_opens_only_with_its_key() {
        let sealed = key().seal("hunter22", "context", &mut rng());
        let (other, text) = SealingKey::generate(&mut rng());
        assert_eq!(other.open(&sealed, "context"), Err(SealError::UnknownKey("k630dcd29".to_owned())));
        let impostor = SealingKey::parse(&format!("k630dcd29:{text}")).unwrap();
        assert_eq!(impostor.open(&sealed, "context"), Err(SealError::Refused));
        // The id is authenticated as well: the same key under another name does not open it.
        let renamed = SealingKey::parse(&format!("other:{KEY}")).unwrap();
        let relabelled = Sealed(sealed.0.replace("k630dcd29", "other"));
        assert_eq!(renamed.open(&relabelled, "context"), Err(SealError::Refused));
    }

    #[test]
    fn sealing_twice_gives_two_texts() {
        let mut rng = rng();
        assert_ne!(key().seal("same", "context", &mut rng), key().seal("same", "context", &mut rng));
    }

    #[test]
    fn malformed_texts_are_told_from_refused_ones() {
        for text in ["", "v1", "v1.", "v1.k630dcd29", "v2.k630dcd29.AAAA", "v1..AAAA", "v1.K.AAAA", "plain text"] {
            assert_eq!(key().open(&Sealed(text.to_owned()), ""), Err(SealError::Malformed), "{text:?}");
        }
        for encoded in ["", "AAAA", "not base64!", &STANDARD.encode([0; 23])] {
            let sealed = Sealed(format!("v1.k630dcd29.{encoded}"));
            assert_eq!(key().open(&sealed, ""), Err(SealError::Malformed), "{encoded:?}");
        }
        let tagless = Sealed(format!("v1.k630dcd29.{}", STANDARD.encode([0; 30])));
        assert_eq!(key().open(&tagless, ""), Err(SealError::Refused));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let sealed = key().seal("hunter22", "context", &mut rng());
        assert_eq!(format!("{sealed:?}"), "Sealed(…)");
        assert_eq!(format!("{:?}", key()), "SealingKey { id: \"k630dcd29\", .. }");
        let stored = serde_json::to_string(&sealed).unwrap();
        assert!(stored.starts_with("\"v1.k630dcd29.") && !stored.contains("hunter22"), "{stored}");
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_any_flipped_bit_is_noticed(text: String, context: String, seed: u64, flip: prop::sample::Index) {
            let sealed = key().seal(&text, &context, &mut StdRng::seed_from_u64(seed));
            prop_assert_eq!(key().open(&sealed, &context), Ok(text));
            let (key_id, encoded) = sealed.parts().unwrap();
            let mut bytes = STANDARD.decode(encoded).unwrap();
            let bit = flip.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let changed = Sealed(format!("v1.{key_id}.{}", STANDARD.encode(bytes)));
            prop_assert_eq!(key().open(&changed, &context), Err(SealError::Refused));
        }
    }
}
