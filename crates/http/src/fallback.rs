//! Answers for paths and methods that no route has.

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use http::{Method, Uri};

use crate::problem::Problem;

/// Adds the answers for unknown paths (404) and for known ones with another method (405, with `Allow`), as problem
/// details. A path with an id that is not UTF-8 is unknown too: no id is like that. To be called once, on the whole router:
/// two routers that both have a fallback cannot be merged.
pub fn with_fallbacks(router: Router) -> Router {
    router
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            Problem::method_not_allowed(&method, uri.path())
        })
        .fallback(|uri: Uri| async move { Problem::no_route(uri.path()) })
        .layer(middleware::from_fn(ids_in_utf8))
}

/// Answers here what axum's own extractor would answer in plain text.
async fn ids_in_utf8(params: Result<RawPathParams, RawPathParamsRejection>, request: Request, next: Next) -> Response {
    match params {
        Err(RawPathParamsRejection::InvalidUtf8InPathParam(_)) => {
            Problem::no_route(request.uri().path()).into_response()
        }
        // A path that no route has is without parameters; the fallback answers it.
        Ok(_) | Err(_) => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::{get, post};
    use http::{Request, StatusCode};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn answer(method: &str, path: &str) -> (StatusCode, Option<String>, serde_json::Value) {
        // As the binary has it: one path in two services, the fallbacks on top.
        let ingest = Router::new().route("/v1/events", post(|| async {}));
        let console = Router::new()
            .route("/v1/events", get(|| async {}))
            .route("/v1/events/{id}", get(|axum::extract::Path(_): axum::extract::Path<String>| async {}));
        let router = with_fallbacks(ingest.merge(console));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let allow = parts.headers.get("allow").map(|value| value.to_str().unwrap().to_owned());
        let body = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap_or_default();
        (parts.status, allow, body)
    }

    #[tokio::test]
    async fn unknown_paths_and_methods_are_answered_with_problems() {
        let (status, _, body) = answer("GET", "/v2/events?key=x").await;
        assert_eq!((status, &body["type"]), (StatusCode::NOT_FOUND, &"urn:fanfare:problem:no-such-path".into()));
        assert_eq!(body["detail"], "no route is at /v2/events");
        let (status, _, body) = answer("GET", "/v1/events/%FF").await;
        assert_eq!((status, &body["detail"]), (StatusCode::NOT_FOUND, &"no route is at /v1/events/%FF".into()));
        assert_eq!(answer("GET", "/v1/events/%C3%A9").await.0, StatusCode::OK);
        let (status, allow, body) = answer("DELETE", "/v1/events").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(body["type"], "urn:fanfare:problem:method-not-allowed");
        let allow = allow.unwrap();
        assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
        assert_eq!(answer("POST", "/v1/events").await.0, StatusCode::OK);
        assert_eq!(answer("GET", "/v1/events").await.0, StatusCode::OK);
    }
}
