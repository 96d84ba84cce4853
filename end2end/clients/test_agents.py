"""Claude Code and Codex, as they come from npm: they run a command that a scripted model asks for.

What they would say to anybody but their model is switched off by their own settings.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Labs
from scripted import PRINTS, TEXT, TOKENS_IN, TOKENS_OUT

PROGRAMS = Path(__file__).parent.parent / "node_modules" / ".bin"

#: What goes wrong before they get anywhere, and how many calls they make in all.
TRIALS = {
    "": 2, "slow-head": 2, "byte-by-byte": 2, "huge": 2, "no-usage": 2, "zero-usage": 2,
    "stall": 3, "reset-before": 3, "limited": 3, "overloaded": 3, "reset-mid": 3, "cut": 3,
}  # fmt: skip


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bursar-agent-") as folder:
        yield Path(folder)


def claude(base: str, secret: str, model: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "ANTHROPIC_BASE_URL": base,
        "ANTHROPIC_AUTH_TOKEN": secret,
        "ANTHROPIC_MODEL": model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_TELEMETRY": "1",
    }
    arguments = ["-p", "Print the word.", "--output-format", "json", "--allowedTools", "Bash", "--max-turns", "4"]
    return program("claude", arguments, environment, home)


CODEX = """
model = "{model}"
model_provider = "bursar"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.bursar]
name = "Bursar"
base_url = "{base}/v1"
env_key = "BURSAR_SECRET"
wire_api = "responses"
"""


def codex(base: str, secret: str, model: str, home: Path) -> subprocess.CompletedProcess[str]:
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text(CODEX.format(model=model, base=base))
    arguments = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json", "Print the word."]
    return program("codex", arguments, {"CODEX_HOME": str(home / ".codex"), "BURSAR_SECRET": secret}, home)


def program(name: str, arguments: list[str], environment: dict[str, str], home: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **environment}
    command = [str(PROGRAMS / name), *arguments]
    return subprocess.run(
        command, env=environment, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


AGENTS = {"letter": claude, "chat": codex}


@pytest.mark.parametrize("trial", TRIALS)
@pytest.mark.parametrize("kind", AGENTS)
def test_an_agent_runs_a_command_and_says_the_last_word(kind: str, trial: str, labs: Labs, home: Path) -> None:
    run = AGENTS[kind]
    model = "-".join(word for word in (kind, run.__name__, trial, "agent") if word)
    labs.model(model)
    application, secret = labs.application(model)
    done = run(labs.bursar.base, secret, model, home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert TEXT in done.stdout, done.stdout
    asked = labs.scripted.of(model)
    assert len(asked) == TRIALS[trial], [call.path for call in asked]
    assert PRINTS in str(asked[-1].body), "the command was really run, and the model was told"
    booked = labs.booked(application, len(asked))
    assert len(booked) == len(asked), "every call once"
    whole = [call for call in booked if call["outcome"] == "ok"]
    told = [(call["usage"]["input"], call["usage"]["output"]) for call in whole if not call["estimated"]]
    first = {"no-usage": [], "zero-usage": [(0, 0)]}.get(trial, [(TOKENS_IN, TOKENS_OUT)])
    assert (len(whole), told) == (2, [(TOKENS_IN, TOKENS_OUT), *first]), "the newest first"
    if kind == "letter":
        assert "claude-code-" in asked[0].headers["anthropic-beta"], "it arrives as it was sent"
    assert secret not in str(asked[0].headers)


@pytest.mark.parametrize("searches", [True, False])
def test_codex_goes_on_without_a_search_that_has_no_price(searches: bool, labs: Labs, home: Path) -> None:
    model = f"chat-{'searching' if searches else 'unpriced'}-agent"
    labs.model(model, searches)
    application, secret = labs.application(model)
    done = codex(labs.bursar.base, secret, model, home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert TEXT in done.stdout, done.stdout
    asked = labs.scripted.of(model)
    kinds = [{tool["type"] for tool in call.body["tools"]} for call in asked]
    assert len(kinds) == 2 and all(("web_search" in kind) == searches for kind in kinds), kinds
    assert all("function" in kind for kind in kinds), kinds
    assert len(labs.booked(application, 2)) == 2


@pytest.mark.parametrize("kind", AGENTS)
def test_an_agent_without_money_is_told_once(kind: str, labs: Labs, home: Path) -> None:
    application, secret = labs.application(f"{AGENTS[kind].__name__} without money")
    labs.bursar.owner.post("limits/set", scope=f"application:{application}", metric="spend", window="month", cap="0")
    begun = time.monotonic()
    done = AGENTS[kind](labs.bursar.base, secret, f"{kind}-agent", home)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "without money" in said and "has used $0.00 of $0.00" in said, said
    assert time.monotonic() - begun < 20, "it does not come back again and again"
    assert labs.bursar.owner.calls(application=application) == []
