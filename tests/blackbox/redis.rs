//! The process on each kind of Redis, by options alone; and a Redis that refuses it.

use fanfare_testkit::{Fanfare, NatsServer, Receiver, RedisCluster, RedisSentinels, RedisServer, Reply, Servers};

use crate::samples::{order, webhook};

/// What `docs/servers.md` tells to make.
const USER: (&str, &str) = ("user", "fanfare on >behind-the-door ~fanfare:* +eval +evalsha +get +set +pttl +ping");
/// Everybody else may knock.
const OTHERS: (&str, &str) = ("user", "default on nopass -@all +ping");

/// One process on these, with more options.
async fn serve(nats: &NatsServer, redis: String, more: &[(&str, &str)]) -> Fanfare {
    let mut environment = Servers::environment_of(nats.url(), redis);
    environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut fanfare = Fanfare::stopped_role_with("serve", environment);
    fanfare.start_again().await;
    fanfare
}

/// An event arrives, and its claim was answered.
async fn delivers(fanfare: &Fanfare) {
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let id = fanfare.publish(order("order-1")).await;
    receiver.received(1).await;
    let path = format!("/v1/deliveries?event_id={id}");
    fanfare.eventually(&path, |_, list| list["data"][0]["status"] == "delivered").await;
    assert_eq!(fanfare.metric("fanfare_dedup_decisions_total{decision=\"claimed\"}").await, 1.0);
    assert_eq!(fanfare.metric("fanfare_dedup_decisions_total{decision=\"unavailable\"}").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_and_sentinels_answer_claims() {
    let (nats, cluster) = tokio::join!(NatsServer::start(), RedisCluster::start());
    delivers(&serve(&nats, cluster.url(), &[]).await).await;
    let (nats, watched) = tokio::join!(NatsServer::start(), RedisSentinels::start());
    delivers(&serve(&nats, watched.url(), &[]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_the_options_is_let_in_and_a_wrong_password_ends_the_start_unsaid() {
    let (nats, redis) = tokio::join!(NatsServer::start(), RedisServer::start_with(&[USER, OTHERS]));
    let user = ("FANFARE_DISTRIBUTED_REDIS_USER", "fanfare");
    let password = |password| ("FANFARE_DISTRIBUTED_REDIS_PASSWORD", password);
    let fanfare = serve(&nats, redis.url(), &[user, password("behind-the-door")]).await;
    delivers(&fanfare).await;
    assert!(!fanfare.log().contains("behind-the-door"));

    let environment = Servers::environment_of(nats.url(), redis.url());
    let refused = Fanfare::stopped_role_with("serve", environment).with_environment(&[user, password("wr0ng-word")]);
    let output = refused.command().output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("Redis refuses") && !said.contains("wr0ng-word"), "{said}");
}
