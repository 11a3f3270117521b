import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secret = process.env.WEBHOOK_SECRET;
const handled = new Set(); // in production: your database, with a unique index on the key

function equal(a, b) {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

// X-Webhook-Signature: hex HMAC-SHA256 of the raw body, keyed with the secret as text. While a secret is being rotated, the
// old one signs in X-Webhook-Signature-Previous.
function verifyBody(headers, body) {
  const expected = createHmac("sha256", secret).update(body).digest("hex");
  return ["x-webhook-signature", "x-webhook-signature-previous"].some((name) => equal(expected, headers[name] ?? ""));
}

// webhook-signature (Standard Webhooks): covers the id and the time too, so that an old request cannot be replayed.
function verifyStandard(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": signatures = "" } = headers;
  if (!(Math.abs(Date.now() / 1000 - Number(time)) < 300)) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signed = Buffer.concat([Buffer.from(`${id}.${time}.`), body]);
  const expected = "v1," + createHmac("sha256", key).update(signed).digest("base64");
  return signatures.split(" ").some((signature) => equal(signature, expected));
}

createServer(async (request, response) => {
  const chunks = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return; // the sender broke off; uncaught, this would end the whole process
  }
  const body = Buffer.concat(chunks); // the raw bytes: verify these, then parse
  // One of the two is enough.
  if (!verifyStandard(request.headers, body) || !verifyBody(request.headers, body)) {
    return response.writeHead(401).end();
  }
  const key = request.headers["x-idempotency-key"];
  if (!handled.has(key)) {
    handled.add(key);
    const event = JSON.parse(body);
    console.log(request.headers["x-webhook-event"], key, Object.keys(event).join(",")); // queue the work here
  }
  response.writeHead(200).end();
}).listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "127.0.0.1");
