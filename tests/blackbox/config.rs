//! `fanfare config check` and `fanfare config show`, as operators run them.

use std::process::Output;

use fanfare_testkit::process::binary;
use serde_json::Value;
use tokio::process::Command;

async fn config(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary());
    command.arg("config").args(arguments).env_clear().envs(environment.iter().copied());
    command.output().await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a service of its own needs, with secrets.
const DISTRIBUTED: [(&str, &str); 3] = [
    ("FANFARE_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    ("FANFARE_DISTRIBUTED_NATS_URLS", "nats://services:between-us@127.0.0.1:4222"),
    ("FANFARE_DISTRIBUTED_REDIS_URL", "redis://127.0.0.1:6379"),
];

#[tokio::test]
async fn what_is_in_order_is_said_and_what_is_not_is_named_with_what_is_allowed() {
    for (service, environment) in [("serve", &[][..]), ("serve", &DISTRIBUTED), ("delivery", &DISTRIBUTED)] {
        let output = config(&["check", service], environment).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), format!("the configuration of {service} is in order\n"));
    }
    let wrong = [("FANFARE_DELIVERY_LANE_LIMT", "5"), ("FANFARE_SHUTDOWN_DELAY", "30s"), ("FANFARE_LOG", "warn")];
    let flags = ["check", "--set", "history.readers=0", "--listen", "here"];
    for command in [&flags[..], &["show", "--set", "history.readers=0", "--listen", "here"]] {
        let output = config(command, &wrong).await;
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));
        let said = text(&output.stderr);
        for part in [
            "FANFARE_DELIVERY_LANE_LIMT`; did you mean `FANFARE_DELIVERY_LANE_LIMIT`?",
            "command line, --set: history.readers = 0: it has to be from 1 to 64",
            "command line, --listen: listen = \"here\": it has to be an IP address and a port",
        ] {
            assert!(said.contains(part), "{part} is not in:\n{said}");
        }
    }
    let output = config(&["check"], &wrong[1..]).await;
    assert!(text(&output.stderr).contains("shutdown_delay (30s) is not shorter than shutdown_grace (25s)"));
    let output = config(&["check", "ingest"], &[]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--nats"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn what_a_service_goes_by_is_shown_with_its_origin_and_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fanfare.toml");
    std::fs::write(&file, "# ours\nlog = 'warn'\n[delivery]\nlane_limit = 16\n").unwrap();
    let file = file.to_str().unwrap();
    let arguments = ["delivery", "--config", file, "--set", "delivery.lease_batch=7"];
    let output = config(&[&["show"][..], &arguments].concat(), &DISTRIBUTED).await;
    let table = text(&output.stdout);
    let row = |option: &str| {
        let line = table.lines().find(|line| line.split(' ').next() == Some(option));
        let words = line.unwrap_or_else(|| panic!("no {option} in:\n{table}")).split_whitespace().skip(1);
        words.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("log"), format!("warn {file}, line 2"));
    assert_eq!(row("delivery.lane_limit"), format!("16 {file}, line 4"));
    assert_eq!(row("delivery.lease_batch"), "7 command line, --set");
    assert_eq!(row("delivery.max_in_flight"), "1024 default");
    assert_eq!(row("encryption_key"), "(secret) environment variable FANFARE_ENCRYPTION_KEY");
    assert!(row("distributed.nats.urls").starts_with("nats://(secret)@127.0.0.1:4222 "));
    assert!(!table.contains("ingest.") && !table.contains("queue."), "{table}");

    let output = config(&[&["show", "--json"][..], &arguments].concat(), &DISTRIBUTED).await;
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&shown["service"], &shown["engine"]), (&"delivery".into(), &"distributed".into()));
    let options = shown["options"].as_array().unwrap();
    let limit = options.iter().find(|option| option["option"] == "delivery.lane_limit").unwrap();
    assert_eq!((&limit["value"], &limit["origin"]), (&16.into(), &"file".into()));
    assert_eq!(options.len(), table.lines().count());
    for secret in ["between-us", "AAECAw"] {
        assert!(!table.contains(secret) && !text(&output.stdout).contains(secret), "{secret} is shown");
    }
}
