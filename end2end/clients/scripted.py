"""A scripted upstream in both dialects, well behaved or not, and its own record of what it was asked.

The end of a model's name says what happens to its calls: `chat-reset-mid` is reset in the middle.
Of `letter-reset-mid-agent` only the first call is; then it asks for a tool, and is content.
"""

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: What a call uses, unless its script tells nothing, or zero.
TOKENS_IN, TOKENS_OUT = 11, 7

#: What an answer says. Its last character has three bytes.
TEXT = "Grün, rot und blau, für fünf €"

#: What the agents are asked to run, and what it prints.
COMMAND, PRINTS = "echo bursar-$((40+2))", "bursar-42"

#: Every way of misbehaving.
MOODS = (
    "slow-head", "stall", "reset-before", "reset-mid", "cut", "byte-by-byte", "limited", "overloaded",
    "huge", "no-usage", "zero-usage",
)  # fmt: skip

HUGE = 1 << 20


@dataclass
class Asked:
    """A call, and when it came."""

    model: str
    path: str
    headers: dict[str, str]
    body: dict
    at: float = field(default_factory=time.monotonic)


def sse(name: str | None, data: dict | str) -> bytes:
    head = f"event: {name}\n" if name else ""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"{head}data: {text}\n\n".encode()


def words(text: str) -> list[str]:
    middle = len(text) // 2
    return [text[:middle], text[middle:]]


class Script:
    """What is said to one call."""

    def __init__(self, asked: Asked, first: bool) -> None:
        self.asked = asked
        name = asked.model.removesuffix("-agent") if first else asked.model
        self.mood = next((mood for mood in MOODS if name.endswith(mood)), "")
        zero = self.mood == "zero-usage"
        self.tokens = (0, 0) if zero else (TOKENS_IN, TOKENS_OUT)
        self.text = "x" * HUGE if self.mood == "huge" else TEXT
        self.tool = self.next_tool()

    def next_tool(self) -> dict | None:
        """An agent is told to run something first; when it says what came of it, it gets the last word."""
        if not self.asked.model.endswith("agent"):
            return None
        text = json.dumps(self.asked.body)
        if '"tool_result"' in text or "function_call_output" in text or '"role": "tool"' in text:
            return None
        offered = {tool.get("name") or tool.get("function", {}).get("name") for tool in self.asked.body.get("tools", [])}
        for name, arguments in [
            ("Bash", {"command": COMMAND, "description": "Prints a word"}),
            ("exec_command", {"cmd": COMMAND}),
            ("shell_command", {"command": COMMAND}),
            ("shell", {"command": ["bash", "-lc", COMMAND]}),
            ("look_up", {"word": "bursar"}),
        ]:
            if name in offered:
                return {"name": name, "arguments": arguments}
        return None

    def usage(self, names: tuple[str, str]) -> dict:
        if self.mood == "no-usage":
            return {}
        counts = dict(zip(names, self.tokens))
        return {"usage": {**counts, "total_tokens": sum(self.tokens)} if names[0] != "anthropic" else counts}

    # OpenAI, chat

    def chat(self) -> dict:
        message: dict = {"role": "assistant", "content": self.text}
        if self.tool:
            function = {"name": self.tool["name"], "arguments": json.dumps(self.tool["arguments"])}
            message = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if self.tool else "stop", "logprobs": None}
        return {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000, "model": self.asked.model,
            "choices": [choice], **self.usage(("prompt_tokens", "completion_tokens")),
        }  # fmt: skip

    def chat_events(self) -> list[bytes]:
        def chunk(delta: dict, reason: str | None = None) -> bytes:
            return sse(None, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": self.asked.model}
        if self.tool:
            function = {"name": self.tool["name"], "arguments": json.dumps(self.tool["arguments"])}
            call = {"index": 0, "id": "call_1", "type": "function", "function": function}
            events = [chunk({"role": "assistant", "content": None, "tool_calls": [call]})]
        else:
            events = [chunk({"role": "assistant", "content": piece}) for piece in words(self.text)]
        events.append(chunk({}, "tool_calls" if self.tool else "stop"))
        if usage := self.usage(("prompt_tokens", "completion_tokens")):
            events.append(sse(None, {**head, "choices": [], **usage}))
        return [*events, sse(None, "[DONE]")]

    # OpenAI, responses

    def item(self) -> dict:
        if self.tool:
            return {
                "id": "fc_1", "type": "function_call", "call_id": "call_1", "name": self.tool["name"],
                "arguments": json.dumps(self.tool["arguments"]), "status": "completed",
            }  # fmt: skip
        content = [{"type": "output_text", "text": self.text, "annotations": [], "logprobs": []}]
        return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}

    def response(self) -> dict:
        counts = self.usage(("input_tokens", "output_tokens"))
        if counts:
            counts["usage"] |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        return {
            "id": "resp_1", "object": "response", "created_at": 1_790_000_000, "status": "completed", "error": None,
            "incomplete_details": None, "instructions": None, "metadata": {}, "model": self.asked.model,
            "output": [self.item()], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "temperature": 1, "top_p": 1, **counts,
        }  # fmt: skip

    def response_events(self) -> list[bytes]:
        whole, item = self.response(), self.item()
        begun = {**whole, "status": "in_progress", "output": []}
        begun.pop("usage", None)
        if self.tool and self.mood == "huge":
            begun |= {"metadata": {"padding": "x" * HUGE}}
        data: list[dict] = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "in_progress", **({"arguments": ""} if self.tool else {"content": []})}},
        ]
        at = {"item_id": item["id"], "output_index": 0}
        if self.tool:
            data += [
                {"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]},
                {"type": "response.function_call_arguments.done", **at, "name": item["name"], "arguments": item["arguments"]},
            ]
        else:
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            at |= {"content_index": 0}
            data.append({"type": "response.content_part.added", **at, "part": part})
            data += [{"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []} for piece in words(self.text)]
            data.append({"type": "response.output_text.done", **at, "text": self.text, "logprobs": []})
            data.append({"type": "response.content_part.done", **at, "part": {**part, "text": self.text}})
        data += [{"type": "response.output_item.done", "output_index": 0, "item": item}, {"type": "response.completed", "response": whole}]
        return [sse(one["type"], {**one, "sequence_number": number}) for number, one in enumerate(data)]

    # Anthropic

    def block(self) -> dict:
        if self.tool:
            return {"type": "tool_use", "id": "toolu_1", "name": self.tool["name"], "input": self.tool["arguments"]}
        return {"type": "text", "text": self.text}

    def message(self) -> dict:
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": self.asked.model, "content": [self.block()],
            "stop_reason": "tool_use" if self.tool else "end_turn", "stop_sequence": None,
            **({} if self.mood == "no-usage" else {"usage": {"input_tokens": self.tokens[0], "output_tokens": self.tokens[1]}}),
        }  # fmt: skip

    def message_events(self) -> list[bytes]:
        told = self.mood != "no-usage"
        begun = {**self.message(), "content": [], "stop_reason": None}
        if told:
            begun["usage"] = {"input_tokens": self.tokens[0], "output_tokens": min(1, self.tokens[1])}
        block = self.block()
        if self.tool:
            start, deltas = {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        else:
            start, deltas = {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in words(self.text)]
        end = {"delta": {"stop_reason": "tool_use" if self.tool else "end_turn", "stop_sequence": None}}
        if told:
            end["usage"] = {"output_tokens": self.tokens[1]}
        data: list[tuple[str, dict]] = [
            ("message_start", {"message": begun}),
            ("content_block_start", {"index": 0, "content_block": start}),
            *[("content_block_delta", {"index": 0, "delta": delta}) for delta in deltas],
            ("content_block_stop", {"index": 0}),
            ("message_delta", end),
            ("message_stop", {}),
        ]
        if self.tool and self.mood == "huge":
            data.insert(1, ("ping", {"padding": "x" * HUGE}))
        return [sse(name, {"type": name, **one}) for name, one in data]


class Scripted:
    """The server, and what it was asked for, in order."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.strangers: list[str] = []
        self.let_go = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                path = self.path.partition("?")[0]
                if path.endswith("/count_tokens"):
                    return self.whole(200, {"input_tokens": TOKENS_IN})
                asked = Asked(body["model"], path, headers, body)
                first = not outer.of(asked.model)
                outer.asked.append(asked)
                self.answer(Script(asked, first))

            def do_GET(self) -> None:
                outer.strangers.append(self.path)
                self.whole(404, {"error": {"message": "There is nothing here.", "type": "not_found_error"}})

            def answer(self, script: Script) -> None:
                asked, mood = script.asked, script.mood
                if mood == "slow-head":
                    time.sleep(0.3)
                if mood == "stall":
                    outer.let_go.wait(20)
                if mood == "reset-before":
                    return self.reset()
                if mood in ("limited", "overloaded"):
                    return self.refuse(429 if mood == "limited" else 529)
                shape = "message" if asked.path.endswith("/messages") else "response" if asked.path.endswith("/responses") else "chat"
                if not asked.body.get("stream"):
                    return self.whole(200, getattr(script, shape)())
                self.stream(getattr(script, f"{shape}_events")(), mood)

            def refuse(self, status: int) -> None:
                kind = "rate_limit_error" if status == 429 else "overloaded_error"
                body = {"type": "error", "error": {"type": kind, "message": f"The script says {status}.", "code": kind, "param": None}}
                self.whole(status, body, {"retry-after": "1"} if status == 429 else {})

            def whole(self, status: int, document: dict, headers: dict[str, str] | None = None) -> None:
                body = json.dumps(document, ensure_ascii=False).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def stream(self, events: list[bytes], mood: str) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                body = b"".join(events)
                if mood == "reset-mid":
                    self.chunk(b"".join(events[: len(events) // 2]))
                    return self.reset()
                if mood == "cut":
                    # The last character of the text has three bytes: two of them go out.
                    self.chunk(body[: body.index("€".encode()) + 2])
                    return self.reset()
                step = 1 if mood == "byte-by-byte" else 1 << 16
                for start in range(0, len(body), step):
                    self.chunk(body[start : start + step])
                self.wfile.write(b"0\r\n\r\n")

            def chunk(self, piece: bytes) -> None:
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.wfile.flush()

            def reset(self) -> None:
                """As if the process behind it had died."""
                time.sleep(0.02)
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Clients leave; that is what is tried here."""

        self.server = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def of(self, model: str) -> list[Asked]:
        """Calls of one model."""
        return [asked for asked in list(self.asked) if asked.model == model]

    def close(self) -> None:
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()
