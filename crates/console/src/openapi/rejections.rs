//! What was published straight to NATS and is no event.

use fanfare_http::openapi::schema::{and_maybe, count, list, object, page, reference, says, text, time, truth};
use fanfare_http::openapi::{Answer, Operation};
use http::Method;
use serde_json::json;

use super::{Documented, MADE_AT, paging};

pub(super) fn documented() -> Documented {
    let base64 = |what| says(json!({"type": "string", "contentEncoding": "base64"}), what);
    let rejection = object([
        ("published_at", time()),
        ("subject", text()),
        ("code", says(text(), "As a problem's, if it had been published over HTTP.")),
        ("field", text()),
        ("reason", text()),
        ("headers", list(object([("name", text()), ("value", text())]))),
        ("body_bytes", count()),
        ("body_truncated", truth()),
    ]);
    let rejection = and_maybe(
        rejection,
        [
            ("headers_base64", base64("The headers as they came, where they are not well-formed.")),
            ("body", says(text(), "The first 16 KiB of the body, if that is text.")),
            ("body_base64", base64("The same, if it is not.")),
        ],
    );
    let example = json!({"published_at": MADE_AT, "subject": "fanfare.events.default.order.paid", "code": "invalid-request",
        "field": "$.data", "reason": "required: a JSON object or array", "headers": [], "body_bytes": 2, "body": "{}",
        "body_truncated": false});
    let summary = "What was published to NATS and is no event, most recent first";
    let operation = Operation::new(Method::GET, "/v1/rejections", "listRejections", "Events", summary)
        .saying("Empty without NATS: over HTTP a refusal is the answer.")
        .with(paging())
        .answering(
            Answer::json(200, "A page.", reference("RejectionPage"), json!({"data": [example], "next": null}))
                .linked(["listRejections"], &[("after", "$response.body#/next")]),
        );
    (vec![operation], vec![("Rejection", rejection), ("RejectionPage", page(reference("Rejection")))])
}
