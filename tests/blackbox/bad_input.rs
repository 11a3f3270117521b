//! Bad input, one by one: each answer is a problem that names the field and keeps nothing.

use fanfare_testkit::Fanfare;
use fanfare_testkit::process::API_KEY;
use serde_json::{Value, json};

/// One wrong request: what it is, its body, the status, the field its problem must name.
type Case = (&'static str, String, u16, &'static str);

async fn assert_refused(fanfare: &Fanfare, path: &str, (what, body, status, field): Case) {
    let request = fanfare.client().post(fanfare.url(path)).header("x-api-key", API_KEY);
    let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), status, "{what}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{what}");
    let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(problem["status"], status, "{what}: {problem}");
    assert!(problem["type"].is_string() && problem["title"].is_string(), "{what}: {problem}");
    let named = problem["errors"].as_array().is_some_and(|errors| errors.iter().any(|error| error["field"] == field));
    assert!(named, "{what}: no error names {field}: {problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_event_is_refused_by_field() {
    let fanfare = Fanfare::start(&[]).await;
    let event = |change: &dyn Fn(&mut Value)| {
        let mut event = json!({"id": "e", "type": "order.paid", "data": {}});
        change(&mut event);
        event.to_string()
    };
    let deep = format!("{{\"type\":\"a\",\"data\":{}{}}}", "[".repeat(65), "]".repeat(65));
    let long = format!("{{\"type\":\"a\",\"data\":{{\"x\":\"{}\"}}}}", "y".repeat(257 * 1024));
    let cases: Vec<Case> = vec![
        ("malformed JSON", "{\"type\":".to_owned(), 400, "$"),
        ("not an object", "7".to_owned(), 400, "$"),
        ("no type", event(&|e| drop(e.as_object_mut().unwrap().remove("type"))), 400, "$.type"),
        ("a type that is a number", event(&|e| e["type"] = json!(7)), 400, "$.type"),
        ("a type with a space", event(&|e| e["type"] = json!("a b")), 400, "$.type"),
        ("an id with a space", event(&|e| e["id"] = json!("a b")), 400, "$.id"),
        ("an empty id", event(&|e| e["id"] = json!("")), 400, "$.id"),
        ("no data", event(&|e| drop(e.as_object_mut().unwrap().remove("data"))), 400, "$.data"),
        ("data that is a text", event(&|e| e["data"] = json!("x")), 400, "$.data"),
        ("another specversion", event(&|e| e["specversion"] = json!("0.3")), 400, "$.specversion"),
        ("a time that is none", event(&|e| e["time"] = json!("yesterday")), 400, "$.time"),
        ("an expirytime that is none", event(&|e| e["expirytime"] = json!(7)), 400, "$.expirytime"),
        ("a source with a control", event(&|e| e["source"] = json!("a\nb")), 400, "$.source"),
        ("an extension that is an object", event(&|e| e["other"] = json!({})), 400, "$.other"),
        ("data_base64", event(&|e| e["data_base64"] = json!("e30=")), 400, "$.data_base64"),
        ("too deep", deep, 400, "$.data"),
        ("a lone surrogate", "{\"type\":\"a\",\"data\":{\"s\":\"\\ud800\"}}".to_owned(), 400, "$.data.s"),
        ("a number out of range", "{\"type\":\"a\",\"data\":{\"n\":[1e400]}}".to_owned(), 400, "$.data.n[0]"),
        ("too large", long, 413, "$.data"),
        ("content that is not JSON", event(&|e| e["datacontenttype"] = json!("text/xml")), 415, "$.datacontenttype"),
    ];
    for case in cases {
        let what = case.0;
        // Where exactly a value is too deep is the level it happens at; that it is in `data` is what counts.
        if what == "too deep" {
            let (status, problem) = fanfare.call("POST", "/v1/events", serde_json::from_str(&case.1).ok()).await;
            assert_eq!(status, 400, "{problem}");
            assert!(problem["errors"][0]["field"].as_str().unwrap().starts_with("$.data"), "{problem}");
            continue;
        }
        assert_refused(&fanfare, "/v1/events", case).await;
    }
    assert!((fanfare.metric("fanfare_ingest_events_total{result=\"accepted\"}").await).abs() < 0.5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_webhook_is_refused_by_field() {
    let fanfare = Fanfare::start(&[("FANFARE_EGRESS_ALLOW", "")]).await;
    let webhook = |change: &dyn Fn(&mut Value)| {
        let mut webhook = json!({"url": "https://example.com/hooks", "events": ["order.paid"]});
        change(&mut webhook);
        webhook.to_string()
    };
    let url = |url: &str| webhook(&|w| w["url"] = json!(url));
    let mut cases: Vec<Case> = vec![
        ("malformed JSON", "{".to_owned(), 400, "$"),
        ("no url", webhook(&|w| drop(w.as_object_mut().unwrap().remove("url"))), 400, "$.url"),
        ("no events", webhook(&|w| drop(w.as_object_mut().unwrap().remove("events"))), 400, "$.events"),
        ("empty events", webhook(&|w| w["events"] = json!([])), 400, "$.events"),
        ("events that is a text", webhook(&|w| w["events"] = json!("order.paid")), 400, "$.events"),
        ("a wrong pattern", webhook(&|w| w["events"] = json!(["order.**.paid"])), 400, "$.events[0]"),
        ("active that is a text", webhook(&|w| w["active"] = json!("yes")), 400, "$.active"),
        ("a timeout of a minute", webhook(&|w| w["timeout_seconds"] = json!(60)), 400, "$.timeout_seconds"),
        ("an empty schedule", webhook(&|w| w["retry_schedule"] = json!([])), 400, "$.retry_schedule"),
        ("a short secret", webhook(&|w| w["secret"] = json!("short")), 400, "$.secret"),
        ("a reserved header", webhook(&|w| w["headers"] = json!({"Host": "x"})), 400, "$.headers.Host"),
        ("an unknown field", webhook(&|w| w["urll"] = json!("x")), 400, "$.urll"),
        ("a filter that is a text", webhook(&|w| w["filter"] = json!("x")), 400, "$.filter"),
        ("a filter of a value", webhook(&|w| w["filter"] = json!({"order": {"id": 7}})), 400, "$.filter.order.id"),
        (
            "a filter with a wrong range",
            webhook(&|w| w["filter"] = json!({"total": [{"numeric": [">", "7"]}]})),
            400,
            "$.filter.total[0].numeric[1]",
        ),
        ("a secret that is a number", webhook(&|w| w["secret"] = json!(12_345_678)), 400, "$.secret"),
    ];
    for later in ["ordering", "buffer_enabled", "buffer_window_seconds", "max_buffer_size", "buffer_events"] {
        let field: &'static str = Box::leak(format!("$.{later}").into_boxed_str());
        cases.push((later, webhook(&|w| w[later] = json!(1)), 400, field));
    }
    cases.push(("payload version v3", webhook(&|w| w["payload_version"] = json!("v3")), 400, "$.payload_version"));
    for wrong in [
        "http://example.com/",
        "https://user:secret@example.com/",
        "https://10.0.0.1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://localhost/",
        "https://a.localhost/",
        "https://metadata.google.internal/",
        "https://example.com:0/",
        "https://%31%32%37.0.0.1/",
        "ftp://example.com/",
        "https://",
        "example.com",
    ] {
        cases.push((Box::leak(wrong.to_owned().into_boxed_str()), url(wrong), 400, "$.url"));
    }
    for case in cases {
        assert_refused(&fanfare, "/v1/webhooks", case).await;
    }
    let (_, list) = fanfare.call("GET", "/v1/webhooks", None).await;
    assert_eq!(list["data"], json!([]), "nothing was kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_and_what_is_not_there_are_said_so() {
    let fanfare = Fanfare::start(&[]).await;
    for (headers, status) in [
        (vec![], 401),
        (vec![("x-api-key", "wrong-key-0123456789")], 401),
        (vec![("authorization", "Bearer wrong-key-0123456789")], 401),
        (vec![("authorization", "Bearer test-key-0123456789abcdef")], 200),
    ] {
        let mut request = fanfare.client().get(fanfare.url("/v1/webhooks"));
        for (name, value) in headers.clone() {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{headers:?}");
        assert!(!answer.text().await.unwrap().contains("wrong-key"), "an answer shows no key");
    }
    let nobodys = "0199e1a0-0000-7000-8000-000000000000";
    for path in [
        format!("/v1/webhooks/{nobodys}"),
        format!("/v1/deliveries/{nobodys}"),
        "/v1/events/nobodys".to_owned(),
        "/v1/nothing".to_owned(),
    ] {
        let (status, problem) = fanfare.call("GET", &path, None).await;
        assert_eq!((status, &problem["status"]), (404, &json!(404)), "{path}");
    }
    assert!(!fanfare.log().contains("wrong-key"), "the log shows no key");
}
