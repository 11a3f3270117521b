use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

struct Receiver {
    secret: String,
    handled: Mutex<HashSet<String>>, // in production: your database, with a unique index on the key
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// `X-Webhook-Signature`: hex HMAC-SHA256 of the raw body, keyed with the secret as text. While a secret is being rotated, the
/// old one signs in `X-Webhook-Signature-Previous`.
fn verify_body(secret: &str, headers: &HeaderMap, body: &[u8]) -> Option<()> {
    let names = ["x-webhook-signature", "x-webhook-signature-previous"];
    names.iter().find_map(|name| verify_one(secret, header(headers, name), body))
}

fn verify_one(secret: &str, sent: &str, body: &[u8]) -> Option<()> {
    let bytes = (0..sent.len()).step_by(2).map(|at| u8::from_str_radix(sent.get(at..at + 2)?, 16).ok());
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    // `verify_slice` compares in constant time.
    Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?.chain_update(body).verify_slice(&bytes).ok()
}

/// `webhook-signature` (Standard Webhooks): covers the id and the time too, so that an old request cannot be replayed.
fn verify_standard(secret: &str, headers: &HeaderMap, body: &[u8]) -> Option<()> {
    let (id, sent) = (header(headers, "webhook-id"), header(headers, "webhook-timestamp"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    if now.abs_diff(sent.parse().ok()?) > 300 {
        return None;
    }
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?;
    let mac = Hmac::<Sha256>::new_from_slice(&key).ok()?.chain_update(format!("{id}.{sent}.")).chain_update(body);
    header(headers, "webhook-signature").split(' ').find_map(|one| {
        let bytes = STANDARD.decode(one.strip_prefix("v1,")?).ok()?;
        mac.clone().verify_slice(&bytes).ok()
    })
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    // `body` is the raw bytes: verify these, then parse. One of the two signatures is enough.
    let verified = verify_standard(&receiver.secret, &headers, &body)
        .and_then(|()| verify_body(&receiver.secret, &headers, &body));
    if verified.is_none() {
        return StatusCode::UNAUTHORIZED;
    }
    let key = header(&headers, "x-idempotency-key");
    if receiver.handled.lock().is_ok_and(|mut handled| handled.insert(key.to_owned())) {
        println!("{} {key} {}", header(&headers, "x-webhook-event"), body.len()); // queue the work here
    }
    StatusCode::OK
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let secret = std::env::var("WEBHOOK_SECRET").expect("WEBHOOK_SECRET is set");
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let receiver = Arc::new(Receiver { secret, handled: Mutex::default() });
    let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    axum::serve(listener, Router::new().fallback(receive).with_state(receiver)).await
}
