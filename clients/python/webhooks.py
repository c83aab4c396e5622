"""Receives a webhook and verifies it with the reference library of Standard Webhooks."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue

from duologue import AuthenticatedClient
from duologue.api.messages import send_message
from duologue.api.subscriptions import delete_subscription, set_subscription
from duologue.models.feed_event_type import FeedEventType
from duologue.models.feed_message_created import FeedMessageCreated
from duologue.models.message import Message
from duologue.models.message_input import MessageInput
from duologue.models.subscription import Subscription
from duologue.models.subscription_input import SubscriptionInput
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

CLIENT = AuthenticatedClient(os.environ["DUOLOGUE_URL"], token=os.environ["DUOLOGUE_KEY"])
RECEIVED: Queue[tuple[dict[str, str], bytes]] = Queue()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        RECEIVED.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def subscribe(secret: str | None, port: int) -> Subscription:
    settings = SubscriptionInput(
        url=f"http://127.0.0.1:{port}/events", types=[FeedEventType.MESSAGE_CREATED]
    )
    if secret:
        settings.secret = secret
    subscription = set_subscription.sync(client=CLIENT, name="python-webhooks", body=settings)
    assert isinstance(subscription, Subscription), subscription
    return subscription


def receive(body: str) -> tuple[dict[str, str], bytes]:
    sent = send_message.sync(
        client=CLIENT, body=MessageInput(from_="alice-webhooks", to="bob-webhooks", body=body)
    )
    assert isinstance(sent, Message), sent
    headers, text = RECEIVED.get(timeout=30)
    event = FeedMessageCreated.from_dict(json.loads(text))
    assert event.data.message.body == body and event.id == headers["webhook-id"], event
    return headers, text


def verifies(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


server = HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
first = subscribe(None, server.server_port).secret
assert isinstance(first, str), first
headers, text = receive("Verified")
assert verifies(first, headers, text)
assert not verifies(first, headers, text.replace(b"Verified", b"verified"))

second = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
assert not subscribe(second, server.server_port).secret
# The new secret is used within a second or two.
for _ in range(30):
    headers, text = receive("Rotated")
    if verifies(second, headers, text):
        break
    threading.Event().wait(0.5)
assert verifies(first, headers, text) and verifies(second, headers, text)
delete_subscription.sync_detailed(client=CLIENT, name="python-webhooks")
print("python: webhooks are verified")
