"""A receiver in the shape of Zorio's sample for Python: FastAPI and redis. SLOW is how long it thinks, in seconds."""

import asyncio
import hashlib
import hmac
import json
import os
import time

import redis.asyncio as redis
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

secret = os.environ["ZORIO_WEBHOOK_SECRET"].encode()
slow = float(os.environ.get("SLOW", "0"))
seen = redis.from_url(os.environ["REDIS_URL"])
app = FastAPI()


@app.post("/webhook", response_class=PlainTextResponse)
async def webhook(request: Request):
    body = await request.body()
    sent = request.headers.get("X-Zorio-Timestamp", "")
    if not sent.isdigit() or abs(time.time() - int(sent)) > 300:
        return PlainTextResponse("Stale timestamp", 400)
    expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("X-Zorio-Signature", "")):
        return PlainTextResponse("Invalid signature", 401)
    delivery = request.headers["X-Zorio-Delivery"]
    if not await seen.set(f"zorio:delivery:{delivery}", "1", nx=True, ex=86400):
        return "Duplicate"
    event = json.loads(body)["event"]
    if event != request.headers["X-Zorio-Event"]:
        return PlainTextResponse("Another event", 422)
    await asyncio.sleep(slow)
    print("took", delivery, event, flush=True)
    return "OK"


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
