//! `GET /v1/rejections`: what the project published straight to NATS and could not become an event, with the reason.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_core::api_key::Scope;
use fanfare_core::clock::Timestamp;
use fanfare_core::ports::rejections::{Rejected, RejectedPosition};
use fanfare_http::Problem;
use http::HeaderMap;
use serde::Serialize;

use crate::api::Api;
use crate::input::Query;
use crate::paging::{self, AfterRejection, Cursor as _, Page};

/// The most bytes of a body that are shown; a page of such bodies is a few megabytes.
const SHOWN_BYTES: usize = 16 * 1024;

/// A rejected message.
#[derive(Debug, Serialize)]
pub(crate) struct RejectionView {
    published_at: Timestamp,
    subject: String,
    code: String,
    field: String,
    reason: String,
    headers: Vec<HeaderView>,
    /// Where they are not well-formed.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers_base64: Option<String>,
    body_bytes: usize,
    /// The body's beginning, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    body_truncated: bool,
}

#[derive(Debug, Serialize)]
struct HeaderView {
    name: String,
    value: String,
}

impl From<Rejected> for RejectionView {
    fn from(rejected: Rejected) -> Self {
        let Rejected { position: _, at, subject, code, field, reason, headers, raw_headers, body, body_bytes } =
            rejected;
        let body_truncated = body.len() < body_bytes;
        let text = match std::str::from_utf8(&body) {
            Ok(text) => Some(text.to_owned()),
            // Cut in the middle of a character.
            Err(error) if body_truncated && error.error_len().is_none() => {
                std::str::from_utf8(&body[..error.valid_up_to()]).ok().map(str::to_owned)
            }
            Err(_) => None,
        };
        Self {
            published_at: at,
            subject,
            code,
            field,
            reason,
            headers: headers.into_iter().map(|(name, value)| HeaderView { name, value }).collect(),
            headers_base64: raw_headers.map(|raw| STANDARD.encode(raw)),
            body_bytes,
            body_base64: text.is_none().then(|| STANDARD.encode(&body)),
            body: text,
            body_truncated,
        }
    }
}

/// The project's rejections, most recent first.
///
/// # Errors
/// 400 with every wrong parameter, 401, 403, 503.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<RejectionView>>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let mut query = Query::read(query.as_deref(), &["limit", "after"]);
    let limit = paging::limit(&mut query);
    let after: Option<AfterRejection> = paging::after(&mut query);
    query.refuse()?;
    let before = after.map(|after| RejectedPosition(after.0));
    let page = api.console.rejections.newest(caller.project(), before, limit, SHOWN_BYTES).await;
    let page = page.map_err(|error| Problem::unavailable(&error))?;
    let next = page.rejected.last().filter(|_| page.more).map(|last| AfterRejection(last.position.0).encode());
    Ok(Json(Page { data: page.rejected.into_iter().map(RejectionView::from).collect(), next }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn view(body: &'static [u8], body_bytes: usize) -> RejectionView {
        RejectionView::from(Rejected {
            position: RejectedPosition(1),
            at: Timestamp::EPOCH,
            subject: "fanfare.events.shop.x".to_owned(),
            code: "invalid-request".to_owned(),
            field: "$".to_owned(),
            reason: "no".to_owned(),
            headers: Vec::new(),
            raw_headers: None,
            body: Bytes::from_static(body),
            body_bytes,
        })
    }

    #[test]
    fn a_body_is_text_or_base64() {
        let shown = |body, bytes| {
            let view = view(body, bytes);
            (view.body, view.body_base64, view.body_truncated)
        };
        assert_eq!(shown(b"{}", 2), (Some("{}".to_owned()), None, false));
        assert_eq!(shown(b"\xff", 1), (None, Some("/w==".to_owned()), false));
        assert_eq!(shown(b"caf\xc3", 5), (Some("caf".to_owned()), None, true));
        assert_eq!(shown(b"caf\xc3", 4), (None, Some("Y2Fmww==".to_owned()), false));
    }
}
