//! API keys: stored as a hash, compared in constant time, with scopes that say what they may do; and the admin key beside
//! them, which belongs to no project.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;
use crate::ids::{ApiKeyId, ProjectId};

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Publish events.
    Publish,
    /// Read webhooks, events and deliveries.
    Read,
    /// Change webhooks, retry, replay, test.
    Manage,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 3] = [Scope::Publish, Scope::Read, Scope::Manage];

    /// What the API calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Publish => "publish",
            Scope::Read => "read",
            Scope::Manage => "manage",
        }
    }
}

/// A new key's text: `ffk_` and base64url of 32 random bytes. Its `Debug` does not show it.
pub struct KeyText(String);

impl KeyText {
    /// Makes one.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(format!("ffk_{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text, for hashing and the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

/// The operator's key, which manages projects and keys and is in no project. Only its hash is held.
#[derive(Clone, Debug)]
pub struct AdminKey(KeyHash);

impl AdminKey {
    /// The admin key with this text.
    pub fn new(text: &str) -> Self {
        Self(KeyHash::of(text))
    }

    /// Whether a request presents it: compared in time that does not depend on where the two differ.
    pub fn is(&self, presented: &str) -> bool {
        self.0.matches(&KeyHash::of(presented))
    }
}

/// SHA-256 of a key's text. API keys are long random texts, so a plain hash keeps them; a slow one would only slow requests.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Hashes a key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Whether both are the same, in time that does not depend on where they differ.
    pub fn matches(&self, other: &KeyHash) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The first eight bytes: what a look-up narrows the candidates by, before [`Self::matches`] decides.
    pub fn bucket(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(first)
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl Serialize for KeyHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&crate::signature::Hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let mut hash = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(serde::de::Error::custom("a key hash has 64 hex digits"));
        }
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(serde::de::Error::custom)?;
        }
        Ok(Self(hash))
    }
}

/// An API key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its public id.
    pub id: ApiKeyId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// What it is called.
    pub name: String,
    /// The hash of its text.
    pub hash: KeyHash,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// When a key was last used, as it is stored: apart from the key, since it changes far more often and by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// The key.
    pub key: ApiKeyId,
    /// When a request last presented it; behind by up to a minute, and by what a crash has lost of that.
    pub last_used_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_generated_key_is_never_the_same_goes_into_a_header_and_does_not_show_itself() {
        let mut rng = StdRng::seed_from_u64(1);
        let (one, two) = (KeyText::generate(&mut rng), KeyText::generate(&mut rng));
        assert_ne!(one.expose(), two.expose());
        assert_eq!((one.expose().len(), &one.expose()[..4]), (47, "ffk_"));
        assert!(one.expose().bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(format!("{one:?}"), "KeyText(…)");
    }

    #[test]
    fn the_admin_key_is_known_by_its_whole_text_alone() {
        let admin = AdminKey::new("correct horse battery");
        assert!(admin.is("correct horse battery"));
        for other in ["", "correct horse batter", "correct horse battery ", "Correct horse battery"] {
            assert!(!admin.is(other), "{other:?}");
        }
        assert!(!format!("{admin:?}").contains("horse"));
    }
}
