"""A loopback web server that does not print a traceback when a client goes away."""

from __future__ import annotations

from http.server import ThreadingHTTPServer
from typing import Any


class QuietServer(ThreadingHTTPServer):
    """Threads end with the process; errors of connections are the tests' own doing."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass
