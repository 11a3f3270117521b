// Hands every request of a run to the npm package `@kapso/chat-adapter`, as a bot's webhook route does. It answers 200 to bodies that
// it does not know as well, so what counts is that its handler ran; a changed body must be answered with 401.
import { readFileSync } from "node:fs";
import { createMemoryState } from "@chat-adapter/state-memory";
import { createKapsoAdapter } from "@kapso/chat-adapter";
import { Chat } from "chat";

const { secret, requests } = JSON.parse(readFileSync(0, "utf8"));
const kapso = createKapsoAdapter({
  kapsoApiKey: "not-used",
  phoneNumberId: "100200300400500",
  webhookSecret: secret,
  appSecret: secret, // of Meta's own webhooks; here a webhook of kind `meta` signs with its secret in its place
});
const bot = new Chat({ userName: "support", state: createMemoryState(), adapters: { kapso }, logger: "silent" });
const handled = [];
bot.onDirectMessage(async (_thread, message) => {
  handled.push(message.text);
});
await bot.initialize?.();

async function receive(headers, body) {
  const waiting = [];
  const request = new Request("https://receiver.example/webhooks/kapso", { method: "POST", headers, body });
  const response = await bot.webhooks.kapso(request, { waitUntil: (promise) => waiting.push(promise) });
  await Promise.all(waiting);
  return response.status;
}

let refused = 0;
for (const { headers, body } of requests) {
  if ((await receive(headers, body + " ")) === 401) {
    refused += 1;
  }
  const before = handled.length;
  const status = await receive(headers, body);
  if (status !== 200) {
    throw new Error(`answered ${status}`);
  }
  if (handled.length !== before + 1) {
    throw new Error(`the handler ran ${handled.length - before} times for ${body}`);
  }
}
console.log(JSON.stringify({ handled, refused }));
process.exit(0);
