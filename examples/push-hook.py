#!/usr/bin/env python3
"""Makes push notifications of `badge.changed`: prints what a backend would send to APNs and to FCM.

Receives webhooks (Standard Webhooks 1.0), or pulls. Needs nothing but Python 3.8:

    WEBHOOK_SECRET=whsec_... python3 examples/push-hook.py --listen 127.0.0.1:9000
    DUOLOGUE_KEY=... python3 examples/push-hook.py --pull http://127.0.0.1:8080

Each line of the output is a JSON object: `user`, for whose devices it is, `apns` and `fcm`. Sending it, with the tokens of
the user's devices and the credentials of the app, is where your code begins. docs/push.md explains the decisions.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import quote

TOLERANCE_S = 300  # age of a webhook above which it is refused, because it may be a replay
MAX_BODY = 1 << 20
MAX_USERS = 100_000  # of whom the last event is remembered
MAX_TEXT = 500  # characters of a message; a push to APNs has at most 4 KiB


def wants_alert(badge):
    """Whether the user's devices make a sound. Otherwise only the number on the icon changes."""
    if badge["cause"] != "message.created" or badge["online"]:
        return False
    if "deleted_at" in badge["message"]:  # it has expired
        return False
    return badge["mentioned"] or not badge["muted"]


def push_of(badge):
    """What to send to the devices of a user: for iOS headers and payload, for Android the message of FCM."""
    total = badge["total_unread_count"]
    data = {"badge": str(total), "peer": badge["peer"], "cause": badge["cause"]}
    if not wants_alert(badge):
        # Of several that a device missed, only the last one counts.
        headers = {"apns-push-type": "alert", "apns-priority": "5", "apns-collapse-id": "badge"}
        apns = {"headers": headers, "payload": {"aps": {"badge": total}}}
        fcm = {"message": {"data": data, "android": {"priority": "NORMAL", "collapse_key": "badge"}}}
        return {"user": badge["user"], "apns": apns, "fcm": fcm}
    message = badge["message"]
    title = message["from"]  # a real app knows the names of its users
    if badge["peer"].startswith("room:"):
        title += " in " + badge["peer"][len("room:") :]
    text = message["body"][:MAX_TEXT] or "Attachment"
    aps = {"alert": {"title": title, "body": text}, "badge": total, "sound": "default", "thread-id": badge["peer"]}
    # The same id for the same message, so that an event that comes twice is shown once.
    headers = {"apns-push-type": "alert", "apns-priority": "10", "apns-collapse-id": message["id"]}
    apns = {"headers": headers, "payload": {"aps": aps, "peer": badge["peer"], "seq": message["seq"]}}
    android = {"priority": "HIGH", "notification": {"tag": message["id"], "notification_count": total}}
    fcm = {"message": {"notification": {"title": title, "body": text}, "data": data, "android": android}}
    return {"user": badge["user"], "apns": apns, "fcm": fcm}


class Pusher:
    """Prints the pushes of events. An event can come twice, and those of a user come in order."""

    def __init__(self):
        self.lock = Lock()
        self.last = OrderedDict()  # user -> id of the last event

    def push(self, event):
        if event.get("type") != "badge.changed":
            return
        badge = event["data"]
        with self.lock:
            order = tuple(int(part) for part in event["id"].split("-"))
            if order <= self.last.get(badge["user"], ()):
                return
            print(json.dumps(push_of(badge), ensure_ascii=False), flush=True)
            self.last[badge["user"]] = order
            self.last.move_to_end(badge["user"])
            if len(self.last) > MAX_USERS:
                self.last.popitem(last=False)


def key_of(secret):
    """The key of a secret of Standard Webhooks: `whsec_` and base64."""
    return base64.b64decode(secret[len("whsec_") :] if secret.startswith("whsec_") else secret, validate=True)


def is_signed(headers, body, keys, now):
    """Whether a webhook is signed with one of the keys, and not old."""
    event_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not event_id or not re.fullmatch("[0-9]{1,12}", sent_at) or abs(now - int(sent_at)) > TOLERANCE_S:
        return False
    signed = f"{event_id}.{sent_at}.".encode() + body
    given = [part[3:].encode() for part in headers.get("webhook-signature", "").split(" ") if part.startswith("v1,")]
    expected = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in keys]
    return any(hmac.compare_digest(one, other) for one in given for other in expected)


def handler(pusher, keys):
    class Webhook(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 15

        def do_POST(self):
            length = self.headers.get("content-length", "")
            if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY:
                self.close_connection = True
                return self.answer(413)
            body = self.rfile.read(int(length))
            if not is_signed(self.headers, body, keys, time.time()):
                return self.answer(401)
            try:
                event = json.loads(body)
                pusher.push(event)
            except (ValueError, KeyError, TypeError, AttributeError):
                return self.answer(400)
            # Only now: what is not answered with 2xx comes again.
            return self.answer(204)

        def answer(self, status):
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    return Webhook


def listen(address, secrets):
    host, _, port = address.rpartition(":")
    server = ThreadingHTTPServer((host or "127.0.0.1", int(port)), handler(Pusher(), [key_of(s) for s in secrets]))
    print(f"listening on http://{server.server_address[0]}:{server.server_address[1]}", file=sys.stderr, flush=True)
    server.serve_forever()


def call(url, method="GET", body=None, headers=()):
    headers = dict(headers)
    if os.environ.get("DUOLOGUE_KEY"):
        headers["authorization"] = "Bearer " + os.environ["DUOLOGUE_KEY"]
    if body is not None:
        headers["content-type"] = "application/json"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def subscribe(subscription):
    try:
        call(subscription, "PUT", {"types": ["badge.changed"]}, {"if-none-match": "*"})
    except urllib.error.HTTPError as error:
        if error.code != 412:  # it exists, and continues where it was
            raise


def pull(service, name):
    subscription = f"{service.rstrip('/')}/subscriptions/{quote(name)}"
    pusher, subscribed = Pusher(), False
    while True:
        try:
            if not subscribed:
                subscribe(subscription)
                subscribed = True
            events = call(subscription + "/events?wait=30")["events"]
            for event in events:
                pusher.push(event)
            if events:
                call(subscription + "/ack", "POST", {"ids": [event["id"] for event in events]})
        except OSError as error:
            status = getattr(error, "code", 503)
            if 400 <= status < 500 and status != 429:
                sys.exit(f"{subscription}: {error}")
            print(f"trying again: {error}", file=sys.stderr, flush=True)
            time.sleep(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--listen", metavar="HOST:PORT", help="receive webhooks; WEBHOOK_SECRET has one secret or more, separated by spaces")
    way.add_argument("--pull", metavar="URL", help="pull from a service; DUOLOGUE_KEY has a service key if it needs one")
    parser.add_argument("--subscription", default="push", help="name of the subscription to pull, created if it does not exist")
    options = parser.parse_args()
    if options.pull:
        return pull(options.pull, options.subscription)
    secrets = os.environ.get("WEBHOOK_SECRET", "").split()
    try:
        if not secrets or not all(map(key_of, secrets)):
            parser.error("WEBHOOK_SECRET must have the secret of the webhook")
    except binascii.Error:
        parser.error("WEBHOOK_SECRET is not `whsec_` and base64")
    return listen(options.listen, secrets)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
