//! Publishes an event straight to NATS and waits until it is kept. Needs async-nats.

use std::error::Error;

use async_nats::jetstream;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let client = async_nats::connect(std::env::var("NATS_URL")?).await?;
    let stream = jetstream::new(client);
    let event = json!({
        "id": "order-1004-paid",
        "source": "shop/berlin",
        "subject": "order-1004",
        "data": {"order": "1004", "total": 12.5},
    });
    // The subject names the project and the type. An error here means: not accepted, publish it again later. The first await
    // sends it, the second one is the acknowledgement.
    let ack = stream.publish("fanfare.events.default.order.paid", event.to_string().into()).await?.await?;
    println!("kept order-1004-paid at {}", ack.sequence);
    Ok(())
}
