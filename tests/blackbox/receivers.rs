//! Receivers that nobody here wrote, and those of docs/receive.md, verify what Fanfare sends.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use fanfare_testkit::process::free_port;
use fanfare_testkit::{Fanfare, Received, Receiver, Reply};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::samples::{FIVE, event};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn target() -> PathBuf {
    let binary = fanfare_testkit::process::binary();
    binary.parent().expect("the binary is in a directory").to_path_buf()
}

pub(crate) fn python() -> PathBuf {
    PathBuf::from(std::env::var_os("FANFARE_TEST_PYTHON").expect("cargo xtask test names the Python with the clients"))
}

/// A sample receiver of the docs, as its own process.
pub(crate) struct Sample {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) url: String,
}

impl Sample {
    pub(crate) async fn start(mut command: Command, secret: &str) -> Self {
        let port = free_port();
        let mut child = command
            .env("PORT", port.to_string())
            .env("WEBHOOK_SECRET", secret)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
        let listening = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                ticks.tick().await;
            }
        };
        let patience = std::time::Duration::from_secs(120);
        assert!(tokio::time::timeout(patience, listening).await.is_ok(), "{command:?} does not listen");
        Self { _child: child, lines, url: format!("http://127.0.0.1:{port}/") }
    }

    pub(crate) async fn line(&mut self) -> String {
        let line = tokio::time::timeout(std::time::Duration::from_secs(60), self.lines.next_line()).await;
        line.expect("the sample says what it received").unwrap().expect("the sample goes on")
    }
}

pub(crate) const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A sender that breaks off in the middle of a body: anybody can, and the receiver has to outlive it.
async fn break_off(url: &str) {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    connection.write_all(b"POST / HTTP/1.1\r\nHost: sample\r\nContent-Length: 10\r\n\r\n{").await.unwrap();
    connection.shutdown().await.unwrap();
}

/// A sender that does not say how long its body is gets an answer all the same.
async fn without_a_length(url: &str) {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    connection.write_all(b"POST / HTTP/1.1\r\nHost: sample\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    BufReader::new(connection).read_line(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer:?}");
}

/// Sends the five events through Fanfare to a sample, and past it a request that breaks off and a forged one.
async fn verifies(command: Command) {
    let fanfare = Fanfare::start(&[]).await;
    let mut sample = Sample::start(command, SECRET).await;
    break_off(&sample.url).await;
    without_a_length(&sample.url).await;
    let webhook = json!({"url": sample.url, "events": ["whatsapp.**"], "secret": SECRET});
    fanfare.create_webhook(webhook).await;
    for event_type in FIVE {
        let id = fanfare.publish(event(event_type)).await;
        let line = sample.line().await;
        assert!(line.starts_with(event_type), "{line}");
        let path = format!("/v1/events/{id}");
        fanfare.eventually(&path, |_, shown| shown["deliveries"][0]["status"] == "delivered").await;
    }
    let forged = fanfare.client().post(&sample.url).header("x-webhook-event", "forged").header("webhook-id", "x");
    let forged = forged.header("webhook-timestamp", "1765000000").header("webhook-signature", "v1,AAAA");
    let answer = forged.header("x-webhook-signature", "00").body("{}").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 401);
}

pub(crate) fn node_sample() -> Command {
    let mut node = Command::new("node");
    node.arg(root().join("docs/receivers/node.mjs"));
    node
}

pub(crate) fn python_sample() -> Command {
    let mut python = Command::new(python());
    python.arg(root().join("docs/receivers/python.py"));
    python
}

pub(crate) fn rust_sample() -> Command {
    Command::new(target().join("fanfare-receiver-example"))
}

/// Builds the Go sample as a binary of this name; tests that run at the same time need one each.
pub(crate) async fn go_sample(name: &str) -> PathBuf {
    let binary = target().join(name);
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&binary)
        .arg(root().join("docs/receivers/go/main.go"))
        // The sample needs the standard library alone.
        .env("GOPROXY", "off")
        .env("GOFLAGS", "-mod=mod")
        .env("GOCACHE", target().join("go-cache"))
        .status()
        .await;
    assert!(built.is_ok_and(|status| status.success()), "the Go sample does not build");
    binary
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_sample_verifies() {
    verifies(node_sample()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sample_verifies() {
    verifies(python_sample()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_go_sample_verifies() {
    verifies(Command::new(go_sample("receive-go").await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rust_sample_verifies() {
    verifies(rust_sample()).await;
}

#[test]
fn the_docs_show_the_samples_as_they_are() {
    let docs = std::fs::read_to_string(root().join("docs/receive.md")).unwrap();
    for (language, file) in
        [("js", "node.mjs"), ("python", "python.py"), ("go", "go/main.go"), ("rust", "rust/src/main.rs")]
    {
        let sample = std::fs::read_to_string(root().join("docs/receivers").join(file)).unwrap();
        let block = format!("```{language}\n{sample}```");
        assert!(docs.contains(&block), "docs/receive.md does not show docs/receivers/{file} as it is");
    }
}

/// Every delivery of a run, a retry among them, through each library.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_libraries_verify_every_delivery_of_a_run() {
    let fanfare = Fanfare::start(&[]).await;
    let receiver = Receiver::http(|request| Reply::Status(if request.index == 2 { 500 } else { 200 })).await;
    let created =
        fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["**"], "retry_schedule": [1, 1]})).await;
    for event_type in FIVE {
        fanfare.publish(event(event_type)).await;
    }
    fanfare.publish(json!({"type": "order.paid", "data": {"text": "¿Listo? 🎺 \"sí\" a/b\n<b>&amp;</b>"}})).await;
    let requests = receiver.received(FIVE.len() + 2).await;
    for verifier in verifiers("run") {
        verified(verifier, &created["secret"], &run_of(&requests)).await;
    }
}

/// What was received, as the verifying scripts read it.
pub(crate) fn run_of(requests: &[Received]) -> Vec<Value> {
    let shown = |request: &Received| {
        let headers: serde_json::Map<_, _> =
            request.headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
        json!({"headers": headers, "body": std::str::from_utf8(&request.body).unwrap()})
    };
    requests.iter().map(shown).collect()
}

/// Runs a verifying script, which must find every request right and every changed one wrong.
pub(crate) async fn verified(mut command: Command, secret: &Value, run: &[Value]) {
    let input = json!({"secret": secret, "requests": run}).to_string();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.trim(), format!("verified {}, refused {} changed", run.len(), run.len()));
}

/// What verifies with each of the libraries; Node's script under a name of its own: tests that run at the same time need one each.
pub(crate) fn verifiers(name: &str) -> Vec<Command> {
    let mut verifiers = Vec::new();
    for library in ["standardwebhooks", "svix"] {
        let mut node = node_script("verify.mjs", &format!("verify-{name}.mjs"));
        node.arg(library);
        let mut python = Command::new(python());
        python.arg(root().join("tests/clients/python/verify.py")).arg(library);
        verifiers.extend([node, python]);
    }
    verifiers
}

/// A script of `tests/clients/node`, under this name.
pub(crate) fn node_script(script: &str, name: &str) -> Command {
    node_beside_clients(&format!("tests/clients/node/{script}"), name)
}

/// A script of this repository, to be run with the installed npm packages.
pub(crate) fn node_beside_clients(script: &str, name: &str) -> Command {
    // Node looks for modules beside the script, so the script stands beside the installed ones.
    let from = root().join(script);
    let script = target().join("../tools/node").join(name);
    std::fs::copy(from, &script).unwrap();
    let mut node = Command::new("node");
    node.arg(script);
    node
}
