"""What is changed of the requests that schemathesis makes up, so that a run stays on this machine and keeps its keys."""

import os
import re

import schemathesis

RECEIVER = os.environ["RECEIVER"]
# Made by an option: without its scopes the rest of the run would be refused.
FIRST_KEY = "key_00000000000000000000000000"


def on_loopback(body):
    """Where a body names a URL that webhooks may have, it is made to be the receiver's."""
    if not isinstance(body, dict):
        return
    url = body.get("url")
    if isinstance(url, str) and len(url) <= 2048 and re.fullmatch(r"(?i)https?://[^\s#@\\]+", url):
        body["url"] = f"{RECEIVER}{sum(url.encode())}"
    on_loopback(body.get("whatsapp_webhook"))


@schemathesis.hook
def before_call(context, case, **kwargs):
    on_loopback(case.body)
    # In binary mode any body is data; nothing of it could be refused.
    for name in [name for name in case.headers or () if name.lower().startswith("ce-")]:
        del case.headers[name]
    changes = case.method.upper() in ("PATCH", "DELETE")
    if changes and case.path_parameters and case.path_parameters.get("id") in (FIRST_KEY, "default"):
        case.path_parameters["id"] = "nobody"
