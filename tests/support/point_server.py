"""A loopback JSON service with faults on request; its answers are those of a subclass."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.quiet_server import QuietServer

Reply = tuple[int, Any]


class PointService:
    """The requests received, and the faults of the next ones.

    ``faults``: status codes as text, ``429 after`` (with Retry-After), ``stall``, ``truncate``, ``short`` (truncated
    JSON with a matching length), ``html`` (a page with status 200), or a :data:`Reply`.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.times: list[float] = []
        self.faults: list[Any] = []
        self.delay = 0.0
        self.lock = threading.Lock()
        self.url = ""

    def reply(self, path: str) -> Reply:
        raise NotImplementedError


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: PointService

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        service = self.service
        with service.lock:
            service.requests.append(self.path)
            service.times.append(time.monotonic())
            fault = service.faults.pop(0) if service.faults else ""
        time.sleep(service.delay)
        with suppress(BrokenPipeError, ConnectionResetError):
            self._answer(service, fault)

    def _answer(self, service: PointService, fault: Any) -> None:
        status, content = fault if isinstance(fault, tuple) else service.reply(self.path)
        body = json.dumps(content).encode()
        if isinstance(fault, str) and fault[:3].isdigit():
            status, body = int(fault[:3]), b"{}"
        if fault == "html":
            body = b"<html>Down for maintenance</html>"
        if fault == "short":
            body = body[: len(body) // 2]
        self.send_response(status)
        if fault == "429 after":
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault in ("truncate", "stall"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if fault == "stall":
                time.sleep(0.8)
            self.close_connection = True
            return
        self.wfile.write(body)


@contextmanager
def serve(service: PointService) -> Iterator[PointService]:
    server = QuietServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": service}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}/api"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
