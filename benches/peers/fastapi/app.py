"""Messages between two users with FastAPI and redis-py, as most tutorials write it.

A conversation is a list, newest first. A hash counts the unread messages of each user by sender. A send appends and
counts in one round trip.
"""

import json
import os
from datetime import datetime, timezone
from uuid import uuid4

from fastapi import FastAPI, Query
from pydantic import BaseModel, Field
from redis.asyncio import Redis

app = FastAPI()
redis = Redis.from_url(os.environ["REDIS_URL"])


class MessageInput(BaseModel):
    # `from` is a keyword of Python.
    sender: str = Field(alias="from", min_length=1, max_length=64)
    to: str = Field(min_length=1, max_length=64)
    body: str = Field(min_length=1, max_length=4096)


def messages_key(one: str, other: str) -> str:
    return "messages:" + ":".join(sorted((one, other)))


@app.post("/messages", status_code=201)
async def send_message(message: MessageInput) -> dict:
    stored = {
        "id": str(uuid4()),
        "from": message.sender,
        "to": message.to,
        "body": message.body,
        "sent_at": datetime.now(timezone.utc).isoformat(),
    }
    pipeline = redis.pipeline(transaction=False)
    pipeline.lpush(messages_key(message.sender, message.to), json.dumps(stored))
    pipeline.hincrby(f"unread:{message.to}", message.sender, 1)
    await pipeline.execute()
    return stored


@app.get("/conversations/{user}/{peer}")
async def read_conversation(user: str, peer: str, limit: int = Query(50, ge=1, le=100)) -> dict:
    page = await redis.lrange(messages_key(user, peer), 0, limit - 1)
    return {"messages": [json.loads(message) for message in page]}
