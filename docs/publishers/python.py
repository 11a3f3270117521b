"""Publishes an event straight to NATS and waits until it is kept. Needs nats-py."""

import asyncio
import json
import os

import nats


async def main() -> None:
    client = await nats.connect(os.environ["NATS_URL"])
    stream = client.jetstream()
    event = {
        "id": "order-1001-paid",
        "source": "shop/berlin",
        "subject": "order-1001",
        "data": {"order": "1001", "total": 12.5},
    }
    # The subject names the project and the type. An error here means: not accepted, publish it again later.
    ack = await stream.publish("fanfare.events.default.order.paid", json.dumps(event).encode(), timeout=5)
    print("kept", event["id"], "at", ack.seq)
    await client.close()


asyncio.run(main())
