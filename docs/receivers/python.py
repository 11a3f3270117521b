import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["WEBHOOK_SECRET"]
handled = set()  # in production: your database, with a unique index on the key


def verify_body(headers, body):
    """X-Webhook-Signature: hex HMAC-SHA256 of the raw body, keyed with the secret as text. While a secret is being rotated,
    the old one signs in X-Webhook-Signature-Previous."""
    expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    names = ("X-Webhook-Signature", "X-Webhook-Signature-Previous")
    return any(hmac.compare_digest(expected, headers.get(name, "")) for name in names)


def verify_standard(headers, body):
    """webhook-signature (Standard Webhooks): covers the id and the time too, so that an old request cannot be replayed."""
    sent = headers.get("webhook-timestamp", "")
    if not sent.isdigit() or abs(time.time() - int(sent)) > 300:
        return False
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{headers.get('webhook-id')}.{sent}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(expected, one) for one in headers.get("webhook-signature", "").split(" "))


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the connection open for the next event

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.close_connection = True  # where its body ends is not known
            return self.answer(411)
        body = self.rfile.read(int(length))  # the raw bytes: verify these, then parse
        # One of the two is enough.
        if verify_standard(self.headers, body) and verify_body(self.headers, body):
            key = self.headers["X-Idempotency-Key"]
            if key not in handled:
                handled.add(key)
                event = json.loads(body)
                print(self.headers["X-Webhook-Event"], key, ",".join(event), flush=True)  # queue the work here
            self.answer(200)
        else:
            self.answer(401)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Receiver).serve_forever()
