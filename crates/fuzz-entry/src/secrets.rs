//! Webhooks' secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_core::clock::Timestamp;
use fanfare_core::secret::{Secret, StandardKey};
use fanfare_core::signature::SigningKey;

/// A secret that is taken keeps its text to itself, signs, and is told from one that Standard Webhooks libraries cannot read.
pub(crate) fn secret(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(secret) = Secret::new(text.to_owned()) else { return false };
    assert_eq!(secret.expose(), text);
    assert!(text.ends_with(secret.last4()) && secret.last4().len() == 4);
    assert_eq!(format!("{secret:?}"), "Secret(…)");
    let decoded = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text));
    let expected = if decoded.is_ok_and(|key| !key.is_empty()) { StandardKey::Base64 } else { StandardKey::Text };
    assert_eq!(secret.standard_key(), expected);

    let (key, at) = (SigningKey::new(&secret), Timestamp::EPOCH);
    let body = key.body_signature(b"{}");
    assert_eq!(body, SigningKey::new(&secret).body_signature(b"{}"), "signing is no function of the secret");
    assert_ne!(body, key.body_signature(b"{ }"));
    let standard = key.standard_signature("id", at, b"{}");
    assert!(standard.starts_with("v1,") && STANDARD.decode(&standard[3..]).is_ok_and(|mac| mac.len() == 32));
    for said in [&body, &standard] {
        assert!(!said.contains(text), "the signature shows the secret");
    }
    true
}
