"""A model server, a witness before it, and a Bursar before that, set up through its console."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest

from model_server import NAME
from scripted import MOODS, Scripted
from witness import Witness

PASSWORD = "a calm green ledger"

#: Nano-dollars for a million tokens. Odd on purpose: a cost is a division that has to round up.
PRICE_IN, PRICE_OUT = 123_456_789, 4_567_891_011


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_model(*options: str) -> Iterator[str]:
    """A model server, until the block ends; its address."""
    script = Path(__file__).with_name("model_server.py")
    command = [sys.executable, str(script), "--port", str(free_port()), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        for line in process.stdout:
            if line.startswith("ready "):
                yield line.split()[1]
                break
        else:
            pytest.fail("the model server did not start")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def witness() -> Iterator[Witness]:
    with running_model() as address:
        witness = Witness(address)
        yield witness
        witness.close()


@pytest.fixture(scope="session")
def embedder() -> Iterator[Witness]:
    """The same model, answering with vectors."""
    with running_model("--embeddings") as address:
        witness = Witness(address)
        yield witness
        witness.close()


class Console:
    """Somebody in front of the console, by the forms of its pages."""

    def __init__(self, base: str) -> None:
        headers = {"accept": "application/json", "sec-fetch-site": "same-origin"}
        self.base = base
        self.http = httpx2.Client(base_url=base, headers=headers, timeout=30)

    def post(self, function: str, **fields: object):
        answer = self.http.post(f"/console/{function}", data={name: str(value) for name, value in fields.items()})
        assert answer.status_code == 200, f"{function}: {answer.status_code} {answer.text}"
        return answer.json()

    def create(self, function: str, **fields: object) -> str:
        """Posts, and returns the id of the page it leads to."""
        return self.post(function, **fields)["go"].rsplit("/", 1)[1]

    def page(self, path: str) -> str:
        answer = self.http.get(path, headers={"accept": "text/html"})
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return answer.text

    def calls(self, **which: str) -> list[dict]:
        """Finished calls, the newest first."""
        found = self.post("calls/list", **{f"filters[{name}]": value for name, value in which.items()})
        return [{**call, **call["end"]["Finished"]} for call in found["list"]["calls"] if "Finished" in call["end"]]


class Bursar:
    """A running server with one organization: two models of one real one behind it."""

    def __init__(self, base: str, owner: Console, provider_url: str) -> None:
        self.base, self.owner = base, owner
        self.openai_provider = self.provider("gemma", "openai", provider_url)
        self.anthropic_provider = self.provider("gemma, as Anthropic speaks", "anthropic", provider_url)
        self.support = owner.create("groups/create", name="Support", kind="department", parent="")
        self.interns = owner.create("groups/create", name="Interns", kind="department", parent="")
        self.tier = self.new_tier("general")
        self.guarded = self.new_tier("guarded")
        self.small = self.model("small-chat", self.openai_provider, self.tier)
        self.letters = self.model("letter-chat", self.anthropic_provider, self.tier)
        self.careful = self.model("careful-chat", self.openai_provider, self.guarded)
        owner.post("authorizations/set", group=self.support, target=f"tier:{self.tier}", state="open")
        owner.post("authorizations/set", group=self.support, target=f"tier:{self.guarded}", state="by_request")

    def provider(self, name: str, dialect: str, url: str) -> str:
        return self.owner.create(
            "providers/create", name=name, dialect=dialect, base_url=url, credential="sk-upstream", allow_private_address="true"
        )

    def new_tier(self, name: str) -> str:
        self.owner.post("models/create-tier", name=name)
        page = self.owner.page("/models")
        return re.search(r"tier-(tir_[a-z0-9]+)", page[page.index(f">{name}<") :])[1]

    def model(
        self, name: str, provider: str, tier: str, modality: str = "chat", upstream: str = NAME, context: int = 2048, most: int = 256,
        **prices: str,
    ) -> str:
        model = self.owner.create(
            "models/create",
            name=name, provider=provider, upstream=upstream, modality=modality, tier=tier,
            context_tokens=context, max_output_tokens=most,
            price_input=f"{PRICE_IN / 1e9:.9f}", price_output=f"{PRICE_OUT / 1e9:.9f}", **prices,
        )  # fmt: skip
        self.owner.post("models/accept", id=model, version="1")
        return model

    def application(self, name: str, group: str) -> tuple[str, str]:
        """A new application: its id and its secret."""
        application = self.owner.create("applications/create", name=name, group=group)
        page = self.owner.page(f"/applications/{application}?dialog=secret")
        key = re.search(r"key_[a-z0-9]{26}", page)[0]
        once = self.owner.post("keys/issue", application=application, key=key)["once"]
        return application, once["Secret"]["secret"]

    def member(self, name: str, group: str) -> str:
        """Somebody new in a group; the secret of their private context there."""
        link = self.owner.post("users/create", name=name, email=f"{name.lower()}@acme.example", role="member")
        org, user, token = link["once"]["Link"]["url"].split("/")[-3:]
        self.owner.post("groups/add-member", group=group, user=user)
        somebody = Console(self.base)
        somebody.post("join/accept", org=org, user=user, token=token, name=name, password=PASSWORD)
        return somebody.post("keys/open-personal", group=group)["once"]["Secret"]["secret"]

    def openai(self, secret: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.base}/v1", api_key=secret)

    def anthropic(self, secret: str) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=self.base, api_key=secret)

    def booked(self, application: str) -> dict:
        """The newest call of an application, as soon as the ledger has it: a minute at most."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if calls := self.owner.calls(application=application):
                return calls[0]
            time.sleep(0.05)
        raise AssertionError("a minute later the ledger has no such call")

    def all_booked(self, application: str, calls: int) -> list[dict]:
        """The calls of an application, once the ledger has so many: a minute at most."""
        deadline = time.monotonic() + 60
        while len(found := self.owner.calls(application=application)) < calls and time.monotonic() < deadline:
            time.sleep(0.05)
        return found


@pytest.fixture(scope="session")
def data_folder() -> Iterator[str]:
    """Not pytest's own: root's is closed to the user that a private Postgres runs as."""
    with tempfile.TemporaryDirectory(prefix="bursar-clients-") as folder:
        Path(folder).chmod(0o711)
        yield folder


@pytest.fixture(scope="session")
def bursar(witness: Witness, data_folder: str) -> Iterator[Bursar]:
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL" and not name.startswith("BURSAR_")}
    environment = {**kept, "BURSAR_ADDR": "127.0.0.1:0", "BURSAR_DATA_DIR": data_folder}
    command = [os.environ["BURSAR_BIN"], "serve"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        ready = process.stdout.readline()
        base, token = re.search(r"(http://\S+)/setup\?token=(\S+)", ready).groups()
        owner = Console(base)
        owner.post("setup/owner", token=token, name="Olga", email="olga@acme.example", password=PASSWORD, again=PASSWORD)
        owner.post("setup/organization", name="Acme", time_zone="Europe/Berlin", default_user_limit="50")
        yield Bursar(base, owner, witness.url)
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, "asked to stop, it stops"
    finally:
        process.kill()
        process.wait()


class Labs:
    """A group of the same organization that calls a scripted upstream, by models that are named for what happens."""

    def __init__(self, bursar: Bursar, scripted: Scripted) -> None:
        self.bursar, self.scripted = bursar, scripted
        self.group = bursar.owner.create("groups/create", name="Labs", kind="department", parent="")
        self.tier = bursar.new_tier("scripted")
        bursar.owner.post("authorizations/set", group=self.group, target=f"tier:{self.tier}", state="open")
        self.providers = {
            "chat": bursar.provider("scripted", "openai", scripted.url),
            "letter": bursar.provider("scripted, as Anthropic speaks", "anthropic", scripted.url),
        }
        # Who stalls is not waited for as long as elsewhere, and spoils no other's name.
        for kind, dialect in (("chat", "openai"), ("letter", "anthropic")):
            provider = bursar.provider(f"stalling {kind}", dialect, scripted.url)
            bursar.owner.post("providers/waits", id=provider, version=1, first_byte=2)
            self.providers[f"{kind}, stalling"] = provider
        for mood in ("fine", *MOODS, "agent"):
            for kind in ("chat", "letter"):
                self.model(f"{kind}-{mood}")

    def model(self, name: str, searches: bool = True) -> None:
        """A model of the dialect its name begins with, large enough for an agent; with a price for searches or without."""
        kind = name.partition("-")[0]
        provider = self.providers[f"{kind}, stalling" if name.endswith("-stall-agent") else kind]
        prices = {"web_search": "10"} if searches else {}
        self.bursar.model(name, provider, self.tier, upstream=name, context=200_000, most=32_000, **prices)

    def application(self, name: str) -> tuple[str, str]:
        return self.bursar.application(name, self.group)

    def booked(self, application: str, calls: int) -> list[dict]:
        return self.bursar.all_booked(application, calls)


@pytest.fixture(scope="session")
def labs(bursar: Bursar) -> Iterator[Labs]:
    scripted = Scripted()
    yield Labs(bursar, scripted)
    scripted.close()
