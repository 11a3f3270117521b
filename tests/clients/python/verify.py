"""Verifies every request of a run with the PyPI library `standardwebhooks`; a changed body must be refused."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

run = json.load(sys.stdin)
webhook = Webhook(run["secret"])
refused = 0
for request in run["requests"]:
    webhook.verify(request["body"], request["headers"])
    try:
        webhook.verify(request["body"] + " ", request["headers"])
    except WebhookVerificationError:
        refused += 1
print(f"verified {len(run['requests'])}, refused {refused} changed")
