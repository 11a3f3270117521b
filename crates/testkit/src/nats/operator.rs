//! An operator with one account and its users, as NATS' tools set them up: JWTs signed by nkeys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// An operator, an account that may use JetStream, and the system account that such a server needs.
#[derive(Debug)]
pub struct NatsOperator {
    operator: KeyPair,
    account: KeyPair,
    system: KeyPair,
}

impl NatsOperator {
    /// New ones.
    pub fn new() -> Self {
        Self { operator: KeyPair::new_operator(), account: KeyPair::new_account(), system: KeyPair::new_account() }
    }

    /// What the server has to be told: whom it trusts, and the accounts.
    pub fn settings(&self) -> String {
        let operator = token(&self.operator, &self.operator, "operator", json!({}));
        let account = token(&self.operator, &self.account, "account", json!({"limits": limits(-1)}));
        let system = token(&self.operator, &self.system, "account", json!({"limits": limits(0)}));
        format!(
            "operator: {operator}\nsystem_account: {system_key}\nresolver: MEMORY\n\
             resolver_preload: {{ {account_key}: {account}, {system_key}: {system} }}",
            system_key = self.system.public_key(),
            account_key = self.account.public_key()
        )
    }

    /// The credentials file of a new user of the account.
    pub fn credentials(&self) -> String {
        credentials(&self.account)
    }

    /// The credentials file of a user that an account made which the operator does not know.
    pub fn forged_credentials() -> String {
        credentials(&KeyPair::new_account())
    }
}

impl Default for NatsOperator {
    fn default() -> Self {
        Self::new()
    }
}

fn credentials(account: &KeyPair) -> String {
    let user = KeyPair::new_user();
    let token = token(account, &user, "user", json!({"subs": -1, "data": -1, "payload": -1}));
    let seed = user.seed().expect("it was made with one");
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

/// Everything without limits, JetStream as far as said.
fn limits(jetstream: i64) -> Value {
    json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": jetstream, "disk_storage": jetstream, "streams": jetstream, "consumer": jetstream
    })
}

/// A JWT of version 2 in which the issuer says something of the subject.
fn token(issuer: &KeyPair, subject: &KeyPair, kind: &str, mut says: Value) -> String {
    says["type"] = json!(kind);
    says["version"] = json!(2);
    let claims = json!({
        "jti": ulid::Ulid::generate().to_string(), "iat": 1_700_000_000, "iss": issuer.public_key(),
        "name": kind, "sub": subject.public_key(), "nats": says
    });
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = issuer.sign(signed.as_bytes()).expect("it was made with a seed");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
