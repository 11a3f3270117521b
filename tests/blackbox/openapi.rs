//! The served document of the API, judged by others: a validator of OpenAPI, and schemathesis, which makes requests of it,
//! right ones and wrong ones, and follows its links.

use std::path::Path;
use std::process::Stdio;

use fanfare_testkit::process::API_KEY;
use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use serde_json::Value;
use tokio::process::Command;

use crate::receivers::{python, root};

on_both_engines!(the_document_is_valid_and_schemathesis_finds_nothing);

const ADMIN_KEY: &str = "admin-key-0123456789abcdef";

async fn succeeds(command: &mut Command) {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    println!("{said}");
}

async fn the_document_is_valid_and_schemathesis_finds_nothing(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[("FANFARE_ADMIN_KEY", ADMIN_KEY)]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let answer = fanfare.client().get(fanfare.url("/openapi.json")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "without a key");
    let text = answer.text().await.unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(
        document["paths"]["/v1/events"]["post"].is_object() && document["paths"]["/v1/webhooks"]["post"].is_object()
    );

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("openapi.json");
    std::fs::write(&file, text).unwrap();
    succeeds(Command::new(python()).args(["-m", "openapi_spec_validator"]).arg(&file)).await;

    let tests = root().join("tests/clients/python/schemathesis");
    let base = std::fs::canonicalize(&tests).unwrap();
    succeeds(run_of(&base, &fanfare, &receiver).current_dir(directory.path())).await;
    let log = fanfare.log();
    assert!(!log.contains("panicked"), "{log}");
}

fn run_of(tests: &Path, fanfare: &Fanfare, receiver: &Receiver) -> Command {
    let mut command = Command::new(python());
    command.args(["-m", "schemathesis.cli", "--config-file"]).arg(tests.join("schemathesis.toml"));
    command.args(["run", "--no-color"]).arg(fanfare.url("/openapi.json"));
    command.env("PYTHONPATH", tests).env("PYTHONDONTWRITEBYTECODE", "1").env("RECEIVER", receiver.url("/"));
    command.env("API_KEY", API_KEY).env("ADMIN_KEY", ADMIN_KEY);
    command
}
