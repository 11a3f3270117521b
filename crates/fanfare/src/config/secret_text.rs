//! A secret in the configuration: readable by who needs it, invisible to `Debug` and to whatever serialises the options.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A secret text; empty when it is not set.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretText(String);

impl SecretText {
    /// Takes a text.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, if one is set.
    pub(crate) fn expose(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&self.0)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(empty)" } else { "(set)" })
    }
}

/// Always as an empty text: what is serialised is the list of options, never their secrets.
impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_serialising_shows_it() {
        let secret = SecretText::new("correct horse".to_owned());
        assert!(!format!("{secret:?}").contains("horse"));
        assert!(!toml::Value::try_from(&secret).unwrap().to_string().contains("horse"));
    }
}
