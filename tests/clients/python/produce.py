"""Publishes events with the PyPI package `cloudevents` in structured, binary and batch mode, and prints what was answered to each."""

import json
import sys
from datetime import datetime, timezone

import httpx
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as OldEvent
from cloudevents.v1.conversion import to_binary, to_structured

run = json.load(sys.stdin)


def attributes(event_id, time):
    return {"id": event_id, "type": "order.paid", "source": "/shops/1?a=b&c", "subject": 'customer "7" ñ 100%',
            "region": "eu", "datacontenttype": "application/json", "time": time}


def event(event_id):
    time = datetime(2025, 12, 6, 5, 46, 40, 123000, tzinfo=timezone.utc)
    return CloudEvent({**attributes(event_id, time), "specversion": "1.0"}, run["data"])


def old_event(event_id):
    """As the package's first version makes it, which most producers still have; it does not encode what it puts into headers."""
    return OldEvent({**attributes(event_id, "2025-12-06T05:46:40.123Z"), "subject": "customer 7"}, run["data"])


def post(headers, body):
    answer = httpx.post(run["url"], headers={**headers, "X-API-Key": run["api_key"]}, content=body)
    return [answer.status_code, answer.json()]


structured, binary = to_structured_event(event("structured")), to_binary_event(event("binary"))
# The package reads and writes no batches: what it writes of one event is put into an array.
batch = b",".join(JSONFormat().write(event(event_id)) for event_id in ("batch-1", "batch-2", "binary"))
again = to_structured_event(event("binary"))
print(json.dumps({
    "structured": post(structured.headers, structured.body),
    "binary": post(binary.headers, binary.body),
    "batch": post({"content-type": "application/cloudevents-batch+json"}, b"[" + batch + b"]"),
    "again": post(again.headers, again.body),
    "old structured": post(*to_structured(old_event("old-structured"))),
    "old binary": post(*to_binary(old_event("old-binary"))),
}))
