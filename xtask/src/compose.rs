//! `cargo xtask compose`: docker-compose.yml run for real, unchanged, by podman and podman-compose: the image built from the
//! Dockerfile, everything healthy, the first webhook of the README, each service killed, one scaled, what is in the volumes there
//! again after down and up, and the cluster of three.
//!
//! What only Docker and the images of others can show is in docs/operate.md, with the commands to see it.

mod images;
mod podman;
mod stack;

use podman::{Podman, timed};
use stack::Stack;

use crate::say;

const BASE: &[&str] = &["docker-compose.yml"];
const CLUSTER: &[&str] = &["docker-compose.yml", "compose.cluster.yml"];

/// Runs it all, and takes away what it started.
///
/// # Errors
/// What failed first.
pub(crate) fn compose() -> Result<(), String> {
    let podman = Podman::ready()?;
    images::stand_ins(&podman)?;
    let image = images::fanfare()?;
    timed("the image", || images::build(&podman, &image))?;
    images::look_into(&podman, &image)?;

    let stack = Stack::new(&podman, BASE)?;
    timed("up, and healthy", || stack.up(&[]))?;
    stack.are_confined()?;
    let receiver = stack.receiver()?;
    stack.subscribe(&receiver)?;
    timed("the first webhook of the README", || stack.arrives("order-1"))?;
    for service in ["ingest", "fanout", "delivery", "console", "redis", "nats"] {
        timed(&format!("{service} killed, an event published, and all healthy again"), || {
            stack.survives_a_kill(service)
        })?;
    }
    timed("delivery scaled to three", || {
        stack.up(&["--no-recreate", "--scale", "delivery=3"])?;
        let running = stack.containers()?.iter().filter(|name| name.contains("_delivery_")).count();
        if running != 3 {
            return Err(format!("{running} are running"));
        }
        stack.arrives("order-scaled")?;
        stack.end("delivery_3")
    })?;
    timed("down, and up again with what is in the volumes", || {
        let key = stack.key()?;
        stack.down(false)?;
        stack.up(&[])?;
        if stack.key()? != key {
            return Err("init made another key".to_owned());
        }
        stack.has("order-1")?;
        stack.arrives("order-again")
    })?;
    drop(stack);

    let cluster = Stack::new(&podman, CLUSTER)?;
    timed("three NATS servers up, and healthy", || cluster.up(&[]))?;
    cluster.subscribe(&receiver)?;
    timed("one of them killed, an event published, and all healthy again", || cluster.survives_a_kill("nats-2"))?;
    say("docker-compose.yml works");
    Ok(())
}
