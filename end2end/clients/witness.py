"""Stands between the gateway and the model server, passes everything on, and remembers it.

What the gateway asked for and what the model server reported are then known without asking the
gateway.
"""

import http.client
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Exchange:
    """One request of the gateway, and its answer."""

    path: str
    headers: dict[str, str]
    asked: dict
    answer: bytes = b""
    done: threading.Event = field(default_factory=threading.Event)

    def documents(self) -> list[dict]:
        """The JSON documents of the answer: one, or one for each event of a stream."""
        text = self.answer.decode()
        if text.startswith("{"):
            return [json.loads(text)]
        lines = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
        return [json.loads(line) for line in lines if line != "[DONE]"]

    def tokens(self) -> tuple[int, int]:
        """Input and output tokens, as the model server itself reports them, caches included."""
        tokens_in = tokens_out = 0
        for document in self.documents():
            inner = document.get("message") or document.get("response") or {}
            for usage in (document.get("usage"), inner.get("usage")):
                if not usage:
                    continue
                if "prompt_tokens" in usage:
                    tokens_in, tokens_out = usage["prompt_tokens"], usage.get("completion_tokens", 0)
                else:
                    cached = usage.get("cache_read_input_tokens") or 0
                    tokens_in = max(tokens_in, usage.get("input_tokens", 0) + cached)
                    tokens_out = usage.get("output_tokens", tokens_out)
        return tokens_in, tokens_out


class Witness:
    """The server, and what it saw, in order."""

    def __init__(self, upstream: str) -> None:
        self.seen: list[Exchange] = []
        seen, address = self.seen, urlsplit(upstream).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.pass_on(b"")

            def do_POST(self) -> None:
                self.pass_on(self.rfile.read(int(self.headers["content-length"])))

            def pass_on(self, body: bytes) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                exchange = Exchange(self.path, headers, json.loads(body) if body else {})
                seen.append(exchange)
                connection = http.client.HTTPConnection(address, timeout=120)
                try:
                    kept = {name: headers[name] for name in ("content-type", "accept", "anthropic-version") if name in headers}
                    connection.request(self.command, self.path, body=body, headers=kept)
                    answer = connection.getresponse()
                    self.send_response(answer.status)
                    self.send_header("content-type", answer.headers.get("content-type", "application/json"))
                    self.send_header("transfer-encoding", "chunked")
                    self.end_headers()
                    while chunk := answer.read1(65536):
                        exchange.answer += chunk
                        self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                        self.wfile.flush()
                    self.wfile.write(b"0\r\n\r\n")
                finally:
                    connection.close()
                    exchange.done.set()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def last(self) -> Exchange:
        """The newest exchange, once it is over."""
        exchange = self.seen[-1]
        assert exchange.done.wait(60), "the model server never finished"
        return exchange

    def calls(self) -> int:
        """How many calls of a model were asked for."""
        routes = ("/chat/completions", "/messages", "/responses", "/embeddings")
        return sum(exchange.path.endswith(routes) for exchange in self.seen)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
