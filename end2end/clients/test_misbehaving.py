"""SDKs, as they are but for base URL and key, against an upstream that does everything wrong.

What somebody sees is what their SDK has for it; nothing hangs and nothing is sent more often than the SDK
tries again; and the ledger has every call once.
"""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

import misbehaving
from conftest import PRICE_IN, PRICE_OUT, Labs
from misbehaving import ALL, RETRIES, Seen
from scripted import HUGE, TEXT, TOKENS_IN, TOKENS_OUT

#: After these an SDK tries again; after a broken stream it does not.
TRIED_AGAIN = ("stall", "reset-before", "limited", "overloaded")

#: What is seen, in the order of these.
ERRORS = ("stall", "reset-before", "limited", "overloaded", "reset-mid", "cut")

#: An SDK for Anthropic cannot do without usage, whoever leaves it out: what it says then is its own.
SEEN = {
    "openai_chat": ("APITimeoutError", "InternalServerError", "RateLimitError", "InternalServerError", "APIError", "APIError"),
    "openai_response": ("APITimeoutError", "InternalServerError", "RateLimitError", "InternalServerError", "APIError", "APIError"),
    "anthropic_message": ("APITimeoutError", "InternalServerError", "RateLimitError", "OverloadedError", "APIStatusError", "APIStatusError"),
    "langchain_openai": ("OpenAITimeoutError", "OpenAIAPIError", "OpenAIRateLimitError", "OpenAIAPIError", "APIError", "APIError"),
    "langchain_anthropic": ("AnthropicTimeoutError", "AnthropicAPIError", "AnthropicRateLimitError", "AnthropicOverloadedError", "APIStatusError", "APIStatusError"),
    "node openai": ("APIConnectionTimeoutError", "InternalServerError", "RateLimitError", "InternalServerError", "APIError", "APIError"),
    "node anthropic": ("APIConnectionTimeoutError", "InternalServerError", "RateLimitError", "OverloadedError", "APIError", "APIError"),
    "node vercel_openai": ("AbortError", "AI_RetryError", "AI_RetryError", "AI_RetryError", "Object", "Object"),
    "node vercel_anthropic": ("AbortError", "AI_RetryError", "AI_RetryError", "AI_RetryError", "Object", "Object"),
}  # fmt: skip
WITHOUT_USAGE = {"anthropic_message": "AttributeError", "node anthropic": "AnthropicError", "node vercel_anthropic": "AI_APICallError"}


def run(client: str, base: str, secret: str) -> Seen:
    if not client.startswith("node "):
        return getattr(misbehaving, client)(base, secret)
    script = Path(__file__).with_name("misbehaving.mjs")
    environment = {**os.environ, "BURSAR": base, "SECRET": secret, "MOODS": " ".join(ALL), "CLIENT": client.split()[1]}
    done = subprocess.run(["node", str(script)], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("client", SEEN)
def test_whatever_the_upstream_does(client: str, labs: Labs) -> None:
    application, secret = labs.application(client)
    before, begun = len(labs.scripted.asked), time.monotonic()
    seen = run(client, labs.bursar.base, secret)
    assert time.monotonic() - begun < 30, "nothing hangs"
    labs.scripted.let_go.set()
    asked = labs.scripted.asked[before:]
    booked = labs.booked(application, len(asked))
    labs.scripted.let_go.clear()
    assert len(booked) == len(asked), "every call once"

    expected = {mood: "ok" for mood in seen} | dict(zip(ERRORS, SEEN[client]))
    if client in WITHOUT_USAGE:
        expected["no-usage"] = WITHOUT_USAGE[client]
    assert {mood: one["saw"] for mood, one in seen.items()} == expected, seen
    for mood in ("reset-mid", "cut"):
        assert "broke off in the middle of its answer" in seen[mood]["text"]
    for mood, one in seen.items():
        if one["saw"] == "ok":
            assert one["text"] == ("x" * HUGE if mood == "huge" else TEXT), mood
        calls = [call for call in booked if call["model"][1].partition("-")[2] == mood]
        gives_up = client.startswith("node vercel") and mood == "stall"
        tries = 2 if mood == "agent" else 1 + RETRIES if mood in TRIED_AGAIN and not gives_up else 1
        assert len(calls) == tries, mood
        for call in calls:
            look_at(mood, call)


def look_at(mood: str, call: dict) -> None:
    """What the ledger has of one call."""
    usage = call["usage"]
    tokens = (usage["input"], usage["output"])
    if mood in ("limited", "overloaded"):
        assert (call["outcome"], call["cost"], call["estimated"]) == ("upstream_error", 0, False), mood
    elif mood == "zero-usage":
        assert (tokens, call["cost"], call["estimated"]) == ((0, 0), 0, False), "zero is what it said"
    elif mood in ("no-usage", "reset-before", "reset-mid", "cut"):
        assert call["estimated"] and call["cost"] > 0 and tokens[1] > 0, f"{mood}: missing is not zero: {call}"
    else:
        cost = -(-(TOKENS_IN * PRICE_IN + TOKENS_OUT * PRICE_OUT) // 1_000_000)
        assert (tokens, call["cost"], call["estimated"]) == ((TOKENS_IN, TOKENS_OUT), cost, False), mood
        assert call["outcome"] == ("hung_up" if mood == "stall" else "ok")
