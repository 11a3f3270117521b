//! Upgrading in place: what an older version wrote is taken as it is, and what a newer one wrote is refused and left alone.

use std::path::Path;

use async_nats::jetstream;
use fanfare_testkit::{Engine, Fanfare, Receiver, Reply, Servers};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::samples::order;
use crate::weather::wait_for;

/// Where the migrations of the two files are.
const QUEUE: (&str, &str) = ("queue.db", "crates/embedded/migrations");
const HISTORY: (&str, &str) = ("history.db", "crates/history/migrations");

/// The entry in a stream's metadata that says its layout.
const LAYOUT: &str = "fanfare-layout";

/// The migrations, oldest first.
fn migrations(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// Makes a file what a version would have left that had only the first migrations: their tables, with what stands in the
/// columns that they had.
fn as_written_by(layout: usize, data: &Path, (name, folder): (&str, &str)) {
    let (new, old) = (data.join(name), data.join("older.db"));
    let connection = Connection::open(&old).unwrap();
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    for migration in &migrations(folder)[..layout] {
        connection.execute_batch(migration).unwrap();
    }
    connection.execute("ATTACH ? AS new", [new.to_str().unwrap()]).unwrap();
    let list = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for table in list("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'") {
        let columns = list(&format!("SELECT '\"' || name || '\"' FROM pragma_table_info('{table}')")).join(", ");
        let copy =
            format!("DELETE FROM main.{table}; INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}");
        connection.execute_batch(&copy).unwrap();
    }
    connection.execute_batch(&format!("DETACH new; PRAGMA user_version = {layout}")).unwrap();
    drop(connection);
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(data.join(format!("{name}{ending}")));
    }
    std::fs::rename(old, new).unwrap();
}

/// A receiver that is gone at first, and takes everything afterwards.
async fn gone_at_first() -> Receiver {
    Receiver::http(|request| Reply::Status(if request.index == 0 { 410 } else { 200 })).await
}

/// A webhook behind whose gate two events wait.
async fn with_events_that_wait(fanfare: &Fanfare, receiver: &Receiver) -> String {
    let webhook = fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["order.**"]})).await;
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    fanfare.publish(order("order-0")).await;
    fanfare.eventually(&path, |_, webhook| webhook["state"] == "paused").await;
    fanfare.publish(order("order-1")).await;
    fanfare.eventually("/v1/deliveries?event_id=order-1", |_, list| list["data"][0]["status"] == "gated").await;
    path
}

/// Everything is still known, and goes on.
async fn goes_on(fanfare: &Fanfare, receiver: &Receiver, path: &str) {
    let (status, shown) = fanfare.call("GET", "/v1/events/order-1", None).await;
    assert_eq!((status, &shown["deliveries"][0]["status"]), (200, &json!("gated")), "{shown}");
    let (status, answer) = fanfare.call("POST", "/v1/events", Some(order("order-1"))).await;
    assert_eq!((status, &answer["status"]), (202, &json!("duplicate")), "{answer}");
    let before = receiver.so_far().len();
    assert_eq!(fanfare.call("POST", &format!("{path}/activate"), None).await.0, 200);
    receiver.received(before + 2).await;
    fanfare.publish(order("order-2")).await;
    let requests = receiver.received(before + 3).await;
    let orders = requests[before..].iter().map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    let mut orders: Vec<_> = orders.map(|body| body["order"].as_str().unwrap().to_owned()).collect();
    // Two are sent at once.
    orders[..2].sort();
    assert_eq!(orders, ["order-0", "order-1", "order-2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_every_older_layout_are_taken_and_brought_to_the_newest() {
    let mut fanfare = Fanfare::start(&[]).await;
    let receiver = gone_at_first().await;
    let path = with_events_that_wait(&fanfare, &receiver).await;
    assert!(fanfare.terminate().await.success());
    let (data, kept) = (fanfare.data_dir(), fanfare.dir().join("kept"));
    std::fs::rename(&data, &kept).unwrap();
    let (queue, history) = (migrations(QUEUE.1).len(), migrations(HISTORY.1).len());
    let mut steps = 0;
    for older in 1..queue.max(history) {
        std::fs::create_dir(&data).unwrap();
        for entry in std::fs::read_dir(&kept).unwrap() {
            let file = entry.unwrap().path();
            std::fs::copy(&file, data.join(file.file_name().unwrap())).unwrap();
        }
        as_written_by(older.min(queue - 1), &data, QUEUE);
        as_written_by(older.min(history - 1), &data, HISTORY);
        steps += queue - older.min(queue - 1);
        fanfare.start_again().await;
        goes_on(&fanfare, &receiver, &path).await;
        let said = async || fanfare.log().matches("the queue was brought to a newer format").count() == steps;
        wait_for("a word about each step", async || said().await.then_some(())).await;
        assert!(fanfare.terminate().await.success());
        for (name, folder) in [QUEUE, HISTORY] {
            let file = Connection::open(data.join(name)).unwrap();
            let layout: u32 = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
            assert_eq!(layout as usize, migrations(folder).len(), "{name}");
        }
        std::fs::remove_dir_all(&data).unwrap();
    }
}

/// How the process ends instead of starting, and what it says.
async fn refusal(fanfare: &Fanfare) -> String {
    let output = fanfare.command().output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_a_newer_layout_is_refused_and_left_alone() {
    let mut fanfare = Fanfare::start(&[]).await;
    assert!(fanfare.terminate().await.success());
    for (name, folder) in [HISTORY, QUEUE] {
        let file = fanfare.data_dir().join(name);
        Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let said = refusal(&fanfare).await;
        assert!(said.contains(name) && said.contains("99"), "{said}");
        assert!(said.contains(&migrations(folder).len().to_string()), "{said}");
        let left: i64 =
            Connection::open(&file).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(left, 99);
    }
}

/// Changes the metadata of every stream.
async fn change(servers: &Servers, change: impl Fn(&mut jetstream::stream::Config)) {
    use futures_util::TryStreamExt as _;
    let context = jetstream::new(async_nats::connect(servers.nats.url()).await.unwrap());
    let streams: Vec<_> = context.streams().try_collect().await.unwrap();
    assert_eq!(streams.len(), 9);
    for mut config in streams.into_iter().map(|stream| stream.config) {
        change(&mut config);
        context.update_stream(config).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_without_a_layout_are_taken_and_those_of_a_newer_one_are_refused() {
    let mut fanfare = Fanfare::start_on(Engine::Distributed, &[]).await;
    let receiver = gone_at_first().await;
    let path = with_events_that_wait(&fanfare, &receiver).await;
    assert!(fanfare.terminate().await.success());
    change(fanfare.servers().unwrap(), |config| assert!(config.metadata.remove(LAYOUT).is_some(), "{config:?}")).await;
    fanfare.start_again().await;
    goes_on(&fanfare, &receiver, &path).await;
    assert!(fanfare.terminate().await.success());

    let newer = |config: &mut jetstream::stream::Config| {
        assert!(config.metadata.insert(LAYOUT.to_owned(), "99".to_owned()).is_some(), "{config:?}");
    };
    change(fanfare.servers().unwrap(), newer).await;
    let said = refusal(&fanfare).await;
    assert!(
        said.contains("has layout 99, and this version knows layouts up to 1; run the version that wrote it"),
        "{said}"
    );
}
