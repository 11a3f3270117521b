//! Which URLs a webhook may have.

use std::fmt;
use std::net::IpAddr;

use super::EgressPolicy;

/// A webhook's URL: http or https, a host that is a name or an address, no credentials, no fragment.
///
/// Which addresses and whether http are allowed depends on the project: [`WebhookUrl::check`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WebhookUrl(::url::Url);

/// Why a text is not a URL that a webhook may have; lowercase, no final period, says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUrl(pub String);

impl WebhookUrl {
    /// Parses and checks everything that does not depend on the project.
    ///
    /// # Errors
    /// When it is not such a URL.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let _ = text;
        todo!()
    }

    /// Checks it against what the project's webhooks may connect to: scheme, reserved names, and the address if the host is one.
    ///
    /// # Errors
    /// When the project's webhooks may not have it.
    pub fn check(&self, policy: &EgressPolicy) -> Result<(), InvalidUrl> {
        let _ = policy;
        todo!()
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        todo!()
    }

    /// The host as it is resolved or connected to.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, the scheme's own if none is given.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// Whether it is plain http.
    pub fn is_http(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The parsed URL.
    pub fn as_url(&self) -> &::url::Url {
        &self.0
    }

    /// The text in its normal form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

impl serde::Serialize for WebhookUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for WebhookUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
