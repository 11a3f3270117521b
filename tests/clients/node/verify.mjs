// Verifies every request of a run with an npm library, `standardwebhooks` or `svix`; a changed body must be refused.
import { readFileSync } from "node:fs";

const { Webhook } = await import(process.argv[2] ?? "standardwebhooks");
const { secret, requests } = JSON.parse(readFileSync(0, "utf8"));
const webhook = new Webhook(secret);
let refused = 0;
for (const { headers, body } of requests) {
  webhook.verify(body, headers);
  // A receiver that parses first and serialises again before it verifies succeeds as well.
  webhook.verify(JSON.stringify(JSON.parse(body)), headers);
  try {
    webhook.verify(body + " ", headers);
  } catch {
    refused += 1;
  }
}
console.log(`verified ${requests.length}, refused ${refused} changed`);
