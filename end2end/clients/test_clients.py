"""The official SDKs, as they are but for base URL and key, against a real model."""

import json
import os
import subprocess
import time
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest

from conftest import PRICE_IN, PRICE_OUT, Bursar
from model_server import NAME
from witness import Exchange, Witness

QUESTION = [{"role": "user", "content": "Name three colours."}]
ANSWER = {"max_tokens": 24, "temperature": 0}


def cost(tokens_in: int, tokens_out: int) -> int:
    """Nano-dollars, rounded up once."""
    return -(-(tokens_in * PRICE_IN + tokens_out * PRICE_OUT) // 1_000_000)


def assert_booked(bursar: Bursar, application: str, exchange: Exchange, vectors: bool = False) -> None:
    """The ledger has what the model server reported, at the price of the model."""
    tokens_in, tokens_out = exchange.tokens()
    assert tokens_in > 0 and (tokens_out == 0) == vectors
    call = bursar.booked(application)
    usage = call["usage"]
    booked_in = usage["input"] + usage["cache_read"] + usage["cache_write"] + usage["cache_write_long"]
    assert (booked_in, usage["output"] + usage["reasoning"]) == (tokens_in, tokens_out)
    assert not call["estimated"]
    assert call["cost"] == cost(tokens_in, tokens_out)


def test_openai_plain(bursar: Bursar, witness: Witness) -> None:
    application, secret = bursar.application("openai plain", bursar.support)
    answer = bursar.openai(secret).chat.completions.create(model="small-chat", messages=QUESTION, **ANSWER)
    assert answer.choices[0].message.content.strip()
    exchange = witness.last()
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == exchange.tokens()
    assert exchange.asked["model"] == NAME, "the upstream's own name for it"
    assert exchange.headers["authorization"] == "Bearer sk-upstream"
    assert secret not in str(exchange.headers)
    assert_booked(bursar, application, exchange)


def test_openai_streamed_hides_a_usage_nobody_asked_for(bursar: Bursar, witness: Witness) -> None:
    application, secret = bursar.application("openai streamed", bursar.support)
    stream = bursar.openai(secret).chat.completions.create(model="small-chat", messages=QUESTION, stream=True, **ANSWER)
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).strip()
    assert all(chunk.usage is None for chunk in chunks)
    exchange = witness.last()
    assert exchange.asked["stream_options"]["include_usage"] is True
    assert_booked(bursar, application, exchange)


def test_openai_streamed_shows_a_usage_that_was_asked_for(bursar: Bursar, witness: Witness) -> None:
    application, secret = bursar.application("openai streamed usage", bursar.support)
    stream = bursar.openai(secret).chat.completions.create(
        model="small-chat", messages=QUESTION, stream=True, stream_options={"include_usage": True}, **ANSWER
    )
    usage = [chunk.usage for chunk in stream if chunk.usage]
    exchange = witness.last()
    assert [(it.prompt_tokens, it.completion_tokens) for it in usage] == [exchange.tokens()]
    assert_booked(bursar, application, exchange)


def test_anthropic_plain(bursar: Bursar, witness: Witness) -> None:
    application, secret = bursar.application("anthropic plain", bursar.support)
    answer = bursar.anthropic(secret).messages.create(model="letter-chat", messages=QUESTION, max_tokens=24)
    assert answer.content[0].text.strip()
    exchange = witness.last()
    assert exchange.path == "/v1/messages"
    assert exchange.headers["x-api-key"] == "sk-upstream"
    assert_booked(bursar, application, exchange)


def test_anthropic_streamed(bursar: Bursar, witness: Witness) -> None:
    application, secret = bursar.application("anthropic streamed", bursar.support)
    with bursar.anthropic(secret).messages.stream(model="letter-chat", messages=QUESTION, max_tokens=24) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text.strip()
    exchange = witness.last()
    assert final.usage.output_tokens == exchange.tokens()[1]
    assert_booked(bursar, application, exchange)


def test_openai_response(bursar: Bursar, witness: Witness) -> None:
    application, secret = bursar.application("openai response", bursar.support)
    answer = bursar.openai(secret).responses.create(model="small-chat", input="Name three colours.", max_output_tokens=12)
    assert answer.output_text.strip()
    exchange = witness.last()
    assert exchange.path == "/v1/responses"
    assert exchange.asked == {"model": NAME, "input": "Name three colours.", "max_output_tokens": 12}
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == exchange.tokens()
    assert_booked(bursar, application, exchange)


def test_openai_response_streamed(bursar: Bursar, witness: Witness) -> None:
    application, secret = bursar.application("openai response streamed", bursar.support)
    stream = bursar.openai(secret).responses.create(
        model="small-chat", input="Name three colours.", max_output_tokens=12, stream=True
    )
    events = list(stream)
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    final = events[-1].response
    assert text.strip() and final.output_text == text
    exchange = witness.last()
    assert (final.usage.input_tokens, final.usage.output_tokens) == exchange.tokens()
    assert_booked(bursar, application, exchange)


def test_openai_response_in_the_background_is_refused(bursar: Bursar, witness: Witness) -> None:
    _, secret = bursar.application("openai background", bursar.support)
    before = witness.calls()
    with pytest.raises(openai.BadRequestError) as refused:
        bursar.openai(secret).responses.create(model="small-chat", input="Hi", background=True)
    assert refused.value.param == "background"
    assert witness.calls() == before


def test_anthropic_counts_tokens_for_nothing(bursar: Bursar, witness: Witness) -> None:
    application, secret = bursar.application("anthropic count", bursar.support)
    bursar.owner.post("limits/set", scope=f"application:{application}", metric="spend", window="month", cap="0")
    answer = bursar.anthropic(secret).messages.count_tokens(model="letter-chat", messages=QUESTION)
    assert witness.last().path == "/v1/messages/count_tokens"
    assert answer.input_tokens == witness.last().documents()[0]["input_tokens"] > 0
    with pytest.raises(anthropic.APIStatusError):
        bursar.anthropic(secret).messages.create(model="letter-chat", messages=QUESTION, max_tokens=24)
    assert bursar.owner.calls(application=application) == []


def test_unknown_fields_and_tools_go_through_untouched(bursar: Bursar, witness: Witness) -> None:
    _, secret = bursar.application("untouched", bursar.support)
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    more = {"min_p": 0.05, "x_nobody_knows": {"deep": [1, 2.50, None]}}
    bursar.openai(secret).chat.completions.create(
        model="small-chat", messages=QUESTION, tools=[tool], extra_body=more, **ANSWER
    )
    asked = witness.last().asked
    assert asked == {"model": NAME, "messages": QUESTION, "tools": [tool], **ANSWER, **more}


def test_lists_in_both_shapes_hold_what_may_be_called(bursar: Bursar) -> None:
    _, secret = bursar.application("lists", bursar.support)
    assert {model.id for model in bursar.openai(secret).models.list()} == {"small-chat", "letter-chat"}
    assert {model.id for model in bursar.anthropic(secret).models.list()} == {"small-chat", "letter-chat"}
    assert bursar.openai(secret).models.retrieve("small-chat").id == "small-chat"
    with pytest.raises(openai.NotFoundError):
        bursar.openai(secret).models.retrieve("unheard-of")


def test_a_member_of_a_group_that_is_closed(bursar: Bursar, witness: Witness) -> None:
    secret, before = bursar.member("Ina", bursar.interns), witness.calls()
    with pytest.raises(openai.NotFoundError) as refused:
        bursar.openai(secret).chat.completions.create(model="small-chat", messages=QUESTION)
    assert refused.value.code == "model_not_found"
    with pytest.raises(anthropic.NotFoundError):
        bursar.anthropic(secret).messages.create(model="letter-chat", messages=QUESTION, max_tokens=8)
    assert list(bursar.openai(secret).models.list()) == []
    assert witness.calls() == before, "nothing reached the model"


def test_by_request(bursar: Bursar, witness: Witness) -> None:
    secret, before = bursar.member("Bob", bursar.support), witness.calls()
    with pytest.raises(openai.PermissionDeniedError) as refused:
        bursar.openai(secret).chat.completions.create(model="careful-chat", messages=QUESTION)
    assert refused.value.code == "model_requires_approval"
    assert refused.value.body["bursar"]["request_id"] == refused.value.request_id
    with pytest.raises(anthropic.PermissionDeniedError):
        bursar.anthropic(secret).messages.create(model="careful-chat", messages=QUESTION, max_tokens=8)
    assert witness.calls() == before


def test_a_wrong_secret(bursar: Bursar) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        bursar.openai("sk-from-elsewhere").chat.completions.create(model="small-chat", messages=QUESTION)
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(anthropic.AuthenticationError):
        bursar.anthropic("sk-from-elsewhere").messages.create(model="letter-chat", messages=QUESTION, max_tokens=8)


def test_a_limit_stops_the_calls_without_a_storm(bursar: Bursar, witness: Witness) -> None:
    application, secret = bursar.application("few cents", bursar.support)
    cap = 500_000  # nano-dollars: room for a handful of such calls.
    bursar.owner.post("limits/set", scope=f"application:{application}", metric="spend", window="day", cap="0.0005")
    tries: list[httpx2.Request] = []
    client = bursar.openai(secret).with_options(
        http_client=httpx2.Client(event_hooks={"request": [tries.append]}), max_retries=5
    )
    before = witness.calls()
    with pytest.raises(openai.APIStatusError) as refused:
        for _ in range(100):
            client.chat.completions.create(model="small-chat", messages=QUESTION, max_tokens=60, temperature=0)
    answered = len(tries) - 1
    assert refused.value.status_code == 402
    assert refused.value.code == "budget_exceeded"
    assert answered >= 2
    assert witness.calls() - before == answered, "one try, one refusal, nothing sent again"
    message = refused.value.body["message"]
    assert "few cents" in message and "$0.0005" in message, message

    spent = [call["cost"] for call in bursar.all_booked(application, answered) if call["cost"]]
    assert len(spent) == answered
    assert sum(spent) <= cap, "the cap holds"
    with pytest.raises(anthropic.APIStatusError) as again:
        bursar.anthropic(secret).messages.create(model="letter-chat", messages=QUESTION, max_tokens=60)
    assert (again.value.status_code, again.value.body["error"]["type"]) == (402, "billing_error")


def test_the_page_of_the_group_has_the_cost_a_moment_later(bursar: Bursar, witness: Witness) -> None:
    group = bursar.owner.create("groups/create", name="Finance", kind="department", parent="")
    bursar.owner.post("authorizations/set", group=group, target=f"tier:{bursar.tier}", state="open")
    _, secret = bursar.application("ledger clerk", group)
    bursar.openai(secret).chat.completions.create(model="small-chat", messages=QUESTION, **ANSWER)
    expected = cost(*witness.last().tokens())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        rows = bursar.owner.post("spend/page", of=group)["table"]["rows"]
        if rows:
            break
        time.sleep(0.05)
    assert [(row["total"]["calls"], row["total"]["spend"]) for row in rows] == [(1, expected)]
    assert "ledger clerk" in bursar.owner.page(f"/spend/{group}")


def test_my_limits(bursar: Bursar) -> None:
    application, secret = bursar.application("headroom", bursar.support)
    bursar.owner.post("limits/set", scope=f"application:{application}", metric="requests", window="day", cap="7")
    bursar.openai(secret).chat.completions.create(model="small-chat", messages=QUESTION, **ANSWER)
    answer = httpx2.get(f"{bursar.base}/v1/me/limits", headers={"authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
    requests = [limit for limit in answer.json()["limits"] if limit["metric"] == "requests"]
    assert [(limit["cap"], limit["used"]) for limit in requests] == [(7, 1)]


def test_node(bursar: Bursar, witness: Witness) -> None:
    application, secret = bursar.application("node", bursar.support)
    before = len(witness.seen)
    script = Path(__file__).with_name("node.mjs")
    environment = {**os.environ, "BURSAR": bursar.base, "SECRET": secret}
    done = subprocess.run(["node", str(script)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    asked = dict(zip(["chat", "chat_streamed", "response_streamed", "message_streamed", "count"], witness.seen[before:]))
    assert len(asked) == 5
    for name in ("chat", "response_streamed", "message_streamed"):
        assert results[name]["text"].strip()
        assert results[name]["usage"] == asked[name].tokens()[1], name
    assert results["chat_streamed"]["text"].strip()
    assert results["count"]["usage"] == asked["count"].documents()[0]["input_tokens"]
    assert results["refused"] == {"status": 404, "code": "model_not_found", "name": "NotFoundError"}
    assert results["refused_message"] == {"status": 404, "type": "not_found_error", "name": "NotFoundError"}
    assert len(bursar.all_booked(application, 4)) == 4
    assert_booked(bursar, application, asked["message_streamed"])


# Behind the lists: these add to what may be called.


def test_openai_embeddings(bursar: Bursar, embedder: Witness) -> None:
    provider = bursar.provider("gemma, as vectors", "openai", embedder.url)
    bursar.model("vectors", provider, bursar.tier, modality="embedding")
    application, secret = bursar.application("openai embeddings", bursar.support)
    client = bursar.openai(secret)
    answer = client.embeddings.create(model="vectors", input=["Three colours.", "Another text"])
    assert len(answer.data) == 2 and any(answer.data[0].embedding)
    exchange = embedder.last()
    assert exchange.path == "/v1/embeddings"
    assert answer.usage.prompt_tokens == exchange.tokens()[0]
    assert_booked(bursar, application, exchange, vectors=True)
    with pytest.raises(openai.BadRequestError, match="/v1/embeddings"):
        client.chat.completions.create(model="vectors", messages=QUESTION)


def test_a_policy_goes_on_when_a_provider_is_not_there(bursar: Bursar, witness: Witness) -> None:
    nowhere = bursar.provider("nowhere", "openai", "http://127.0.0.1:1/v1")
    bursar.model("lost-chat", nowhere, bursar.tier)
    bursar.owner.post("policies/save", name="chain", routing="fallback", steps="lost-chat\nsmall-chat")
    application, secret = bursar.application("policy", bursar.support)
    client = bursar.openai(secret)
    assert "policy/chain" in {model.id for model in client.models.list()}
    raw = client.chat.completions.with_raw_response.create(model="policy/chain", messages=QUESTION, **ANSWER)
    assert raw.headers["x-bursar-model"] == "small-chat"
    assert raw.headers["x-bursar-skipped"] == "lost-chat=upstream_connection"
    assert raw.parse().choices[0].message.content.strip()
    assert_booked(bursar, application, witness.last())
    assert bursar.booked(application)["policy"] == "chain"
