"""Verifies every request of a run with a PyPI library, `standardwebhooks` or `svix`; a changed body must be refused."""

import importlib
import json
import sys

library = importlib.import_module(f"{sys.argv[1] if len(sys.argv) > 1 else 'standardwebhooks'}.webhooks")
run = json.load(sys.stdin)
webhook = library.Webhook(run["secret"])
refused = 0
for request in run["requests"]:
    webhook.verify(request["body"], request["headers"])
    # A receiver that parses first and serialises again before it verifies, as compactly as the body was, succeeds as well. (Not
    # with numbers below 0.0001 or from 1e16 on that are no integers, which Python writes in another form than JavaScript.)
    again = json.dumps(json.loads(request["body"]), ensure_ascii=False, separators=(",", ":"))
    webhook.verify(again, request["headers"])
    try:
        webhook.verify(request["body"] + " ", request["headers"])
    except library.WebhookVerificationError:
        refused += 1
print(f"verified {len(run['requests'])}, refused {refused} changed")
