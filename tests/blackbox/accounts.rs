//! deploy/nats.conf and what `fanfare init` writes for it: the services can do all that they have to, with the rights that they
//! get; a producer can publish its project's events, and nothing else, whatever its client does.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::{Client, ConnectOptions, Event, HeaderMap};
use fanfare_testkit::process::binary;
use fanfare_testkit::{Fanfare, NatsServer, Receiver, RedisServer, Reply};
use futures_util::StreamExt as _;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::receivers::root;
use crate::samples::{order, webhook};
use crate::weather::wait_for;

/// An installation as docker-compose.yml makes it: the secrets, and servers that know the accounts.
struct Installation {
    directory: TempDir,
    nats: NatsServer,
    redis: RedisServer,
}

impl Installation {
    /// With an account for the producers of `default` as in the file, and one for those of `shop`, made as the file says.
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let secrets = directory.path().join("secrets");
        let mut init = Command::new(binary());
        init.arg("init").arg(&secrets).args(["--producer", "default", "--producer", "shop"]);
        let output = init.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("encryption-key: seals secrets at rest"), "{said}");

        let beside = directory.path().join("nats");
        std::fs::create_dir(&beside).unwrap();
        std::os::unix::fs::symlink(secrets.join("nats"), beside.join("users")).unwrap();
        let text = std::fs::read_to_string(root().join("deploy/nats.conf")).unwrap();
        let store = directory.path().join("jetstream").display().to_string();
        assert!(text.contains("\"/data\""), "{text}");
        let text = with_another(&text).replace("\"/data\"", &format!("\"{store}\""));
        std::fs::write(beside.join("nats.conf"), text).unwrap();
        let acl = secrets.join("redis/users.acl").display().to_string();
        let nats = NatsServer::start_from(&beside.join("nats.conf")).await;
        let redis = RedisServer::start_with(&[("aclfile", &*acl)]).await;
        Self { directory, nats, redis }
    }

    fn secret(&self, name: &str) -> PathBuf {
        self.directory.path().join("secrets").join(name)
    }

    async fn service(&self, role: &'static str) -> Fanfare {
        let file = |name: &str| self.secret(name).display().to_string();
        let environment = [
            ("FANFARE_DISTRIBUTED_NATS_URLS", self.nats.url()),
            ("FANFARE_DISTRIBUTED_NATS_NKEY_FILE", file("services/nats.nk")),
            ("FANFARE_DISTRIBUTED_REDIS_URL", self.redis.url()),
            ("FANFARE_DISTRIBUTED_REDIS_USER", "fanfare".to_owned()),
            ("FANFARE_DISTRIBUTED_REDIS_PASSWORD_FILE", file("services/redis-password")),
            ("FANFARE_ENCRYPTION_KEY_FILE", file("services/encryption-key")),
            // Partitions are shared out soon.
            ("FANFARE_DISTRIBUTED_PARTITION_LEASE", "1s".to_owned()),
        ];
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut service = Fanfare::stopped_role_with(role, environment);
        service.start_again().await;
        service
    }

    /// A connection with one of the keys, and what the server has to say of it.
    async fn connect(&self, key: &str) -> (Client, mpsc::UnboundedReceiver<String>) {
        let seed = std::fs::read_to_string(self.secret(key)).unwrap();
        let (says, said) = mpsc::unbounded_channel();
        let listening = move |event: Event| {
            if let Event::ServerError(error) = event {
                // The test may be over.
                let _ = says.send(error.to_string());
            }
            std::future::ready(())
        };
        let options = ConnectOptions::with_nkey(seed.trim().to_owned()).event_callback(listening);
        (options.connect(self.nats.url()).await.unwrap(), said)
    }
}

/// The file with the block of `default`'s producers once more, for `shop`.
fn with_another(text: &str) -> String {
    let begin = text.find("  PRODUCERS_default {").unwrap();
    let end = begin + text[begin..].find("\n  }\n").unwrap() + "\n  }\n".len();
    let block = &text[begin..end];
    assert_eq!(block.matches("default").count(), 4, "{block}");
    [&text[..end], &block.replace("default", "shop"), &text[end..]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_work_with_their_rights_and_producers_publish_their_projects_events_alone() {
    let installation = Installation::start().await;
    let mut members = Vec::new();
    for role in ["console", "ingest", "fanout", "delivery"] {
        members.push(installation.service(role).await);
    }
    let (console, ingest) = (&members[0], &members[1]);
    // By it alone the alerts about a store that fills up know how large it is.
    let limit = "fanfare_nats_store_limit_bytes";
    wait_for(limit, async || (ingest.metric(limit).await >= 1e10).then_some(())).await;
    // It fails once, so that a schedule, a claim and a second attempt are part of it.
    let receiver = Receiver::http(|request| Reply::Status(if request.index == 0 { 500 } else { 200 })).await;
    let created = console.create_webhook(webhook(&receiver.url("/"))).await;
    ingest.publish(order("over-http")).await;
    let (producer, mut said) = installation.connect("keys/default.nk").await;
    let stream = jetstream::new(producer.clone());
    let body = json!({"id": "over-nats", "data": {"order": "1", "total": 12.5}}).to_string();
    let acknowledged = stream.publish("fanfare.events.default.order.paid", body.clone().into()).await.unwrap();
    assert_eq!(acknowledged.await.unwrap().stream, "FANFARE_INTAKE");
    for id in ["over-http", "over-nats"] {
        let path = format!("/v1/events/{id}");
        console.eventually(&path, |_, shown| shown["deliveries"][0]["status"] == "delivered").await;
    }
    // Behind a gate, since the receiver is gone, and away with all of it.
    let path = format!("/v1/webhooks/{}", created["id"].as_str().unwrap());
    receiver.answer(|_| Reply::Status(410));
    ingest.publish(order("gated")).await;
    console.eventually("/v1/events/gated", |_, shown| shown["deliveries"][0]["status"] == "gated").await;
    let (status, _) = console.call("DELETE", &path, None).await;
    assert!(status == 204 || status == 202, "{status}");
    console.eventually("/v1/events/gated", |_, shown| shown["deliveries"][0]["status"] == "discarded").await;

    for member in &members {
        // Also Redis answers, without which they would go on.
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while member.readiness().await != Some((200, r#"{"status":"ready"}"#.to_owned())) {
            ticks.tick().await;
        }
    }
    assert_eq!(said.try_recv().ok(), None);
    let log = installation.nats.log();
    assert!(!log.contains("Violation"), "a service lacks a right:\n{log}");
    for member in &members {
        assert!(!member.log().contains("ermissions"), "{}", member.log());
    }
    nothing_else(&installation, &producer, &mut said, &body).await;
}

/// What a producer tries beside its events.
async fn nothing_else(
    installation: &Installation,
    producer: &Client,
    said: &mut mpsc::UnboundedReceiver<String>,
    body: &str,
) {
    let (service, mut said_to_service) = installation.connect("services/nats.nk").await;
    let services = jetstream::new(service.clone());
    let before = everything(&services).await;
    // A forged delivery, accepted event, journal entry, configuration record; another project; the streams' API.
    for subject in [
        "fanfare.ready.0199e1a0-0000-7000-8000-000000000001.0199e1a0-0000-7000-8000-000000000002",
        "fanfare.accepted.0.default.x",
        "fanfare.journal",
        "fanfare.gated.0.x",
        "$KV.FANFARE_CONFIG.record.project.default",
        "$KV.FANFARE_STATE.x",
        "fanfare.events.shop.order.paid",
        "fanfare.events.default",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.PURGE.FANFARE_EVENTS",
        "$JS.API.DIRECT.GET.KV_FANFARE_CONFIG",
        "$JS.API.STREAM.MSG.GET.KV_FANFARE_CONFIG",
        "$JS.ACK.FANFARE_DELIVERIES.x",
        "_INBOX.somebody",
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", "forged:1");
        producer.publish_with_headers(subject, headers, body.to_owned().into()).await.unwrap();
        refused(said, "Publish", subject).await;
    }
    for subject in ["fanfare.>", "$KV.FANFARE_CONFIG.>", "fanfare.events.shop.>", ">", "$SYS.>"] {
        let _listening = producer.subscribe(subject).await.unwrap();
        refused(said, "Subscription", subject).await;
    }
    // The answer to a publish is sent where the producer says, and no right is asked for that: it must come to nobody.
    for (number, reply) in ["$KV.FANFARE_CONFIG.record.project.default", "fanfare.journal"].into_iter().enumerate() {
        let subject = "fanfare.events.default.order.paid";
        let body = json!({"id": format!("answer-{number}"), "data": {"order": "1"}}).to_string();
        producer.publish_with_reply(subject, reply, body.into()).await.unwrap();
    }
    // Another project's producers hear nothing of it, also not of the acknowledgements.
    let (shop, _) = installation.connect("keys/shop.nk").await;
    let mut overhears = shop.subscribe("_INBOX.>").await.unwrap();
    shop.flush().await.unwrap();
    let (of_default, of_shop) = (jetstream::new(producer.clone()), jetstream::new(shop.clone()));
    let again = of_default.publish("fanfare.events.default.order.paid", body.to_owned().into()).await.unwrap();
    again.await.unwrap();
    let own = of_shop.publish("fanfare.events.shop.order.paid", body.to_owned().into()).await.unwrap();
    let own = own.await.unwrap();
    let heard = overhears.next().await.unwrap();
    let heard: serde_json::Value = serde_json::from_slice(&heard.payload).unwrap();
    assert_eq!(heard["seq"], own.sequence, "it hears its own acknowledgement first");
    assert_eq!(everything(&services).await, before);

    // Not even the services remove streams.
    let subject = "$JS.API.STREAM.DELETE.FANFARE_EVENTS";
    service.publish(subject, "".into()).await.unwrap();
    refused(&mut said_to_service, "Publish", subject).await;
    services.get_stream("FANFARE_EVENTS").await.unwrap();
}

/// What a forged message would have changed: the last sequences of deliveries and of what is behind gates, and the project's record.
async fn everything(services: &jetstream::Context) -> (u64, u64, Vec<u8>) {
    let last = async |name: &str| services.get_stream(name).await.unwrap().cached_info().state.last_sequence;
    let config = services.get_stream("KV_FANFARE_CONFIG").await.unwrap();
    let record = config.get_last_raw_message_by_subject("$KV.FANFARE_CONFIG.record.project.default").await.unwrap();
    (last("FANFARE_DELIVERIES").await, last("FANFARE_GATED").await, record.payload.to_vec())
}

async fn refused(said: &mut mpsc::UnboundedReceiver<String>, what: &str, subject: &str) {
    let words = tokio::time::timeout(Duration::from_secs(30), said.recv()).await;
    let words = words.unwrap_or_else(|_| panic!("nothing was said of {subject}")).unwrap().to_lowercase();
    let expected = format!("permissions violation for {what} to").to_lowercase();
    assert!(words.contains(&expected) && words.contains(&subject.to_lowercase()), "{subject}: {words}");
}
