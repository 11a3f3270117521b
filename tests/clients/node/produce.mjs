// Publishes events with the npm package `cloudevents` in structured, binary and batch mode, and prints what was answered to each.
import { readFileSync } from "node:fs";
import { CloudEvent, HTTP } from "cloudevents";

const { url, api_key, data } = JSON.parse(readFileSync(0, "utf8"));

function event(id) {
  const attributes = { id, type: "order.paid", source: "/shops/1?a=b&c", subject: "customer 7", region: "eu" };
  return new CloudEvent({ ...attributes, datacontenttype: "application/json", time: "2025-12-06T05:46:40.123Z", data });
}

async function post({ headers, body }) {
  const response = await fetch(url, { method: "POST", headers: { ...headers, "X-API-Key": api_key }, body });
  return [response.status, await response.json()];
}

const answers = {
  structured: await post(HTTP.structured(event("structured"))),
  binary: await post(HTTP.binary(event("binary"))),
  // The package reads batches and writes none: what it writes of one event is put into an array.
  batch: await post({
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify([event("batch-1"), event("batch-2"), event("binary")]),
  }),
  again: await post(HTTP.structured(event("binary"))),
};
console.log(JSON.stringify(answers));
