//! What could not become, or could not be read as, an event: kept whole in a stream of its own, with what is wrong with it.

mod list;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::message::Draft;
use crate::names::Names;

/// What is known of such a message.
const REJECTION: &str = "Fanfare-Rejection";
/// The most bytes of a message's own headers that are kept as text. Encoded they take up to several times as much, and body and
/// headers together have to fit into one message; beyond, base64 takes a third more.
const READABLE_HEADER_BYTES: usize = 64 * 1024;

/// What is kept of a message beside its body.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) subject: String,
    pub(crate) published_at: String,
    pub(crate) code: String,
    pub(crate) field: String,
    pub(crate) reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) headers: Option<Vec<(String, String)>>,
    /// In base64, byte for byte, where they are not well-formed or too many to be encoded one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) raw_headers: Option<String>,
}

impl Kept {
    /// With the message's headers; `raw` is how they came, where they are not well-formed or may be long.
    pub(crate) fn with_headers(self, headers: Vec<(String, String)>, well_formed: bool, raw: &[u8]) -> Self {
        if well_formed && raw.len() <= READABLE_HEADER_BYTES {
            Self { headers: Some(headers), ..self }
        } else {
            Self { raw_headers: Some(STANDARD.encode(raw)), ..self }
        }
    }

    /// The message to be kept; by the id a repetition is recognised.
    pub(crate) fn draft(&self, names: &Names, project: &str, body: Bytes, id: &str) -> Draft {
        Draft::new(names.rejected_of(project), body).id(id).describe(REJECTION, self)
    }
}
