use http_body_util::BodyExt as _;

use super::*;

async fn answered(problem: Problem) -> (http::response::Parts, serde_json::Value) {
    let (parts, body) = problem.into_response().into_parts();
    (parts, serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap())
}

#[tokio::test]
async fn a_problem_has_the_members_of_rfc_9457_and_only_those_that_say_something() {
    let (parts, body) = answered(Problem::invalid("$.events[0]", "must be a pattern")).await;
    assert_eq!(parts.status, 400);
    assert_eq!(parts.headers["content-type"], "application/problem+json");
    assert_eq!(
        body,
        serde_json::json!({
            "type": "urn:fanfare:problem:invalid-request",
            "title": "The request is not valid",
            "status": 400,
            "detail": "$.events[0]: must be a pattern",
            "errors": [{"field": "$.events[0]", "message": "must be a pattern"}],
        })
    );
    let (parts, body) = answered(Problem::conflict("webhook-exists", "same url", "0199")).await;
    assert_eq!((parts.status.as_u16(), &body["existing_id"], body.get("errors")), (409, &"0199".into(), None));
}

#[tokio::test]
async fn refusals_for_now_say_when_to_come_back_and_never_at_once() {
    let (parts, _) = answered(Problem::too_many_requests("quota", 0)).await;
    assert_eq!((parts.status.as_u16(), parts.headers["retry-after"].to_str().unwrap()), (429, "1"));
    for kind in [StoreErrorKind::Unavailable, StoreErrorKind::Full, StoreErrorKind::Lost] {
        let (parts, body) =
            answered(Problem::unavailable(&StoreError::new(kind, "append events", "disk: /dev/sdx"))).await;
        assert_eq!(parts.status, 503);
        assert!(parts.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        assert!(!body.to_string().contains("sdx"), "the cause was told: {body}");
    }
    let corrupt = StoreError::new(StoreErrorKind::Corrupt, "read a webhook", "bad json");
    let (parts, _) = answered(Problem::unavailable(&corrupt)).await;
    assert_eq!((parts.status.as_u16(), parts.headers.get("retry-after")), (500, None));
}

#[tokio::test]
async fn a_401_names_the_scheme_and_a_403_the_scope() {
    let (parts, _) = answered(Problem::unauthorized("no key")).await;
    assert_eq!(parts.headers["www-authenticate"], "Bearer realm=\"fanfare\"");
    let (parts, body) = answered(Problem::forbidden(Scope::Manage)).await;
    assert_eq!(parts.status, 403);
    assert!(body["detail"].as_str().unwrap().contains("scope manage"));
}

#[test]
fn a_callers_megabytes_are_not_sent_back() {
    let problem = Problem::invalid("ä".repeat(100_000), "é".repeat(100_000));
    assert!(serde_json::to_vec(&problem).unwrap().len() < 8192);
}
