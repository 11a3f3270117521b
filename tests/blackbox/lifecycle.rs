//! Starting, stopping, and refusing to start.

use std::os::unix::fs::PermissionsExt;

use fanfare_testkit::{Fanfare, Receiver, Reply};
use serde_json::{Value, json};

use crate::samples::{order, webhook};

/// Runs a command that must fail, and returns its exit code and what it said.
async fn refused(mut command: tokio::process::Command) -> (Option<i32>, String) {
    let output = command.output().await.unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_finishes_what_is_in_flight_and_the_rest_arrives_after_the_next_start() {
    let mut fanfare = Fanfare::start(&[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let mut ids = Vec::new();
    for number in 0..300 {
        ids.push(fanfare.publish(order(&format!("order-{number}"))).await);
    }
    let status = fanfare.terminate().await;
    assert!(status.success(), "{status}\n{}", fanfare.log());
    fanfare.start_again().await;
    let requests = receiver.received(300).await;
    let delivered = |_: u16, list: &Value| list["data"].as_array().is_some_and(Vec::is_empty);
    fanfare.eventually("/v1/deliveries?status=pending,waiting,gated", delivered).await;
    let keys: std::collections::HashSet<_> = receiver.so_far().iter().map(|request| request.key().to_owned()).collect();
    assert_eq!(keys.len(), 300);
    assert_eq!(receiver.so_far().len(), 300, "an orderly stop causes no duplicate ({} at first)", requests.len());
    for id in ids {
        assert_eq!(fanfare.call("GET", &format!("/v1/events/{id}"), None).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_on_the_same_data_is_refused() {
    let fanfare = Fanfare::start(&[]).await;
    let mut second = fanfare.command();
    second.env("FANFARE_LISTEN", "127.0.0.1:0").env("FANFARE_ADMIN_LISTEN", "127.0.0.1:0");
    let (code, said) = refused(second).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another process"), "{said}");
    assert!(said.contains(&*fanfare.data_dir().to_string_lossy()), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_option_is_refused_with_the_nearest_right_one() {
    let fanfare = Fanfare::start(&[]).await;
    let file = fanfare.dir().join("fanfare.toml");
    for (content, wanted) in [
        ("lissten = \"127.0.0.1:0\"\n", "listen"),
        ("[ingest]\nevents_per_secnd = 5\n", "events_per_second"),
        ("listen = 7\n", "listen"),
        ("shutdown_grace = \"soon\"\n", "shutdown_grace"),
    ] {
        std::fs::write(&file, content).unwrap();
        let mut command = fanfare.command();
        command.arg("--config").arg(&file);
        let (code, said) = refused(command).await;
        assert_eq!(code, Some(2), "{content}: {said}");
        assert!(said.contains(wanted), "{content}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_kept_in_private_files_and_secrets_are_not_in_the_data() {
    let mut fanfare = Fanfare::start(&[("FANFARE_API_KEY", "")]).await;
    let key_file = fanfare.data_dir().join("api-key");
    assert!(fanfare.log().contains(&*key_file.to_string_lossy()), "the log names the key's file:\n{}", fanfare.log());
    let key = std::fs::read_to_string(&key_file).unwrap();
    assert!(!fanfare.log().contains(key.trim()), "the log does not show the key");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&key_file), 0o600);

    let secret = "a secret of my own";
    let body =
        json!({"url": "https://example.com/", "events": ["**"], "secret": secret, "headers": {"X-Token": "tok-4711"}});
    let request = fanfare.client().post(fanfare.url("/v1/webhooks")).header("x-api-key", key.trim());
    let answer = request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    assert!(fanfare.terminate().await.success());
    for entry in std::fs::read_dir(fanfare.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for text in [secret, "tok-4711"] {
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "{text} is readable in {}", path.display());
        }
        assert_eq!(mode(&path) & 0o077, 0, "{} is readable by others", path.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_allowance_no_private_address_is_reached() {
    let mut fanfare = Fanfare::start(&[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    assert!(fanfare.terminate().await.success());
    // The operator takes the allowance back: the webhook that was made under it is judged anew, where it connects.
    let mut strict = fanfare.with_environment(&[("FANFARE_EGRESS_ALLOW", "")]);
    strict.start_again().await;
    let id = strict.publish(order("order-1")).await;
    let path = format!("/v1/deliveries?event_id={id}");
    let list = strict.eventually(&path, |_, list| list["data"][0]["attempt_count"].as_u64() >= Some(1)).await;
    assert_eq!(list["data"][0]["last_outcome"], "egress_denied");
    assert!(receiver.so_far().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_ends_well() {
    let mut command = tokio::process::Command::new(fanfare_testkit::process::binary());
    command.args(["demo", "--exit"]).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!shown.contains('\u{1b}'), "no colours without a terminal");
    for event_type in crate::samples::FIVE {
        assert!(shown.contains(event_type), "{event_type} is not shown:\n{shown}");
    }
}
