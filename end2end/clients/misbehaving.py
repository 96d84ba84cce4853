"""What somebody sees who calls a misbehaving upstream with an SDK: `ok` and a text, or an exception."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from scripted import MOODS

#: How often each SDK tries again.
RETRIES = 1

#: Nothing special, and everything that can go wrong.
ALL = ("fine", *MOODS)

QUESTION = [{"role": "user", "content": "Name three colours."}]

Seen = dict[str, dict[str, str]]


def patience(mood: str) -> float:
    """Seconds until an SDK gives up: soon where nothing will come."""
    return 1 if mood == "stall" else 30


def look(call: Callable[[str], str]) -> Seen:
    """Calls the model of every mood at once."""

    def one(mood: str) -> dict[str, str]:
        try:
            return {"saw": "ok", "text": call(mood)}
        except Exception as error:  # noqa: BLE001: which one it is is what is asked here
            return {"saw": type(error).__name__, "text": str(error)}

    with ThreadPoolExecutor(len(ALL)) as pool:
        return dict(zip(ALL, pool.map(one, ALL)))


def openai_chat(base: str, secret: str) -> Seen:
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=secret, max_retries=RETRIES)

    def call(mood: str) -> str:
        stream = client.with_options(timeout=patience(mood)).chat.completions.create(model=f"chat-{mood}", messages=QUESTION, max_tokens=64, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    return look(call)


def openai_response(base: str, secret: str) -> Seen:
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=secret, max_retries=RETRIES)

    def call(mood: str) -> str:
        responses = client.with_options(timeout=patience(mood)).responses
        with responses.stream(model=f"chat-{mood}", input="Name three colours.", max_output_tokens=64) as stream:
            return stream.get_final_response().output_text

    return look(call)


def anthropic_message(base: str, secret: str) -> Seen:
    client = anthropic.Anthropic(base_url=base, api_key=secret, max_retries=RETRIES)

    def call(mood: str) -> str:
        messages = client.with_options(timeout=patience(mood)).messages
        with messages.stream(model=f"letter-{mood}", messages=QUESTION, max_tokens=64) as stream:
            return stream.get_final_text()

    return look(call)


def langchain_openai(base: str, secret: str) -> Seen:
    def call(mood: str) -> str:
        model = ChatOpenAI(
            base_url=f"{base}/v1", api_key=secret, model=f"chat-{mood}", max_tokens=64, timeout=patience(mood), max_retries=RETRIES
        )
        return "".join(chunk.text for chunk in model.stream("Name three colours."))

    return look(call)


def langchain_anthropic(base: str, secret: str) -> Seen:
    def call(mood: str) -> str:
        model = ChatAnthropic(
            base_url=base, api_key=secret, model=f"letter-{mood}", max_tokens=64, timeout=patience(mood), max_retries=RETRIES
        )
        return "".join(chunk.text for chunk in model.stream("Name three colours."))

    return look(call)
