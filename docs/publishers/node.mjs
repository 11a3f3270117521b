// Publishes an event straight to NATS and waits until it is kept. Needs the package nats.
import { connect, JSONCodec } from "nats";

const client = await connect({ servers: process.env.NATS_URL });
const event = {
  id: "order-1002-paid",
  source: "shop/berlin",
  subject: "order-1002",
  data: { order: "1002", total: 12.5 },
};
// The subject names the project and the type. An error here means: not accepted, publish it again later.
const ack = await client
  .jetstream()
  .publish("fanfare.events.default.order.paid", JSONCodec().encode(event), { timeout: 5000 });
console.log("kept", event.id, "at", ack.seq);
await client.close();
