//! Three `redis-server` processes that share the keys as a cluster, without replicas.

use super::RedisServer;
use crate::process::free_port;

/// A cluster of three masters.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters, to be killed and started again one by one.
    pub nodes: [RedisServer; 3],
}

/// Which slots the masters have.
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

impl RedisCluster {
    /// Starts them, gives each its slots, and waits until all know each other.
    ///
    /// # Panics
    /// When they do not answer, or not within a minute.
    pub async fn start() -> Self {
        // A bus port of its own: the default one, the port plus 10,000, may be past the last.
        let buses = [free_port(), free_port(), free_port()].map(|port| port.to_string());
        let [first, second, third] = buses.each_ref().map(|bus| async move {
            RedisServer::start_with(&[("cluster-enabled", "yes"), ("cluster-port", bus)]).await
        });
        let (first, second, third) = tokio::join!(first, second, third);
        let nodes = [first, second, third];
        for (node, (from, to)) in nodes.iter().zip(SLOTS) {
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", from, to]).await;
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), bus]).await;
        }
        let cluster = Self { nodes };
        for node in &cluster.nodes {
            let whole = |info: &str| info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3");
            node.answers("the cluster is whole", &["CLUSTER", "INFO"], whole).await;
        }
        cluster
    }

    /// What clients connect to: all of them.
    pub fn url(&self) -> String {
        let hosts = self.nodes.each_ref().map(|node| format!("127.0.0.1:{}", node.port()));
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Gives the slot of a key to another master than the one that has it, by which the key is lost.
    ///
    /// # Panics
    /// When they do not answer.
    pub async fn move_slot_of(&self, key: &str) {
        let slot = self.nodes[0].ask(&["CLUSTER", "KEYSLOT", key]).await;
        let number: u32 = slot.parse().expect("a slot is a number");
        let owner =
            SLOTS.iter().position(|(_, to)| number <= to.parse().expect("a number")).expect("all are given away");
        let heir = (owner + 1) % 3;
        let id = self.nodes[heir].ask(&["CLUSTER", "MYID"]).await;
        // The owner may not give away a slot with keys in it.
        self.nodes[owner].empty().await;
        for node in [heir, owner] {
            self.nodes[node].ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]).await;
        }
    }
}
