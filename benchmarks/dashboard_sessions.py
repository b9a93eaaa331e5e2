"""Dashboard sessions without a browser, over the Bokeh websocket protocol."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.request
import uuid
from collections.abc import Iterator
from html import unescape
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

METRICS = ("RMSE", "ubRMSE", "bias", "R")
_MAX_MESSAGE_SIZE = 1 << 28


class WebSession:
    """One session: opens the Sites page as a browser does, reads the document, and switches the metric."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket: WebSocketClientConnection | None = None
        self._metric = self._sites = ""
        self._reading: asyncio.Task[tuple[dict[str, Any], str]] | None = None
        self.messages = 0
        self.bytes = 0

    async def open(self) -> None:
        """Get the page, connect, read the document, and report it as drawn."""
        html = await asyncio.to_thread(self._html)
        token = re.search(r'"token":\s*"([^"]+)"', html)
        if token is None:
            raise RuntimeError("The page has no session token.")
        address = self._url.replace("http", "ws", 1).partition("?")[0].rstrip("/") + "/ws"
        request = HTTPRequest(
            address,
            headers={"Origin": self._url.partition("/?")[0]},
            request_timeout=300,
            connect_timeout=300,
        )
        self._socket = await websocket_connect(
            request, subprotocols=["bokeh", token[1]], max_message_size=_MAX_MESSAGE_SIZE
        )
        await self._receive()  # the server's ACK
        await self._send("PULL-DOC-REQ", {})
        document = json.loads((await self._until("PULL-DOC-REPLY"))[1])
        for model in _models(document):
            attributes = model["attributes"]
            if attributes.get("label") == "Score" and "options" in attributes:
                self._metric = model["id"]
            if attributes.get("name") == "sites" and model["name"] == "GlyphRenderer":
                self._sites = attributes["data_source"]["id"]
        if not (self._metric and self._sites):
            raise RuntimeError("The page has no widget 'Score' or no glyph renderer 'sites'.")
        ready = {"type": "event", "name": "document_ready", "values": {"type": "map"}}
        await self._patch({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": ready})

    async def switch(self, metric: str) -> float:
        """Select a score; return the seconds until the map data have arrived."""
        begin = time.perf_counter()
        await self._patch(
            {"kind": "ModelChanged", "model": {"id": self._metric}, "attr": "value", "new": metric}
        )
        while True:
            header, content = await self._receive()
            if header["msgtype"] == "ERROR":
                raise RuntimeError(content)
            if header["msgtype"] == "PATCH-DOC" and any(
                self._is_map(e) for e in json.loads(content)["events"]
            ):
                return time.perf_counter() - begin

    async def drain(self, seconds: float) -> None:
        """Read messages for some time. One that is incomplete at the end is completed by the next read."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self._reading = self._reading or asyncio.create_task(self._read())
            if not (await asyncio.wait({self._reading}, timeout=left))[0]:
                return
            await self._receive()

    def close(self) -> None:
        """Close the connection."""
        if self._reading is not None:
            self._reading.cancel()
        if self._socket is not None:
            self._socket.close()

    def _is_map(self, event: dict[str, Any]) -> bool:
        return event.get("model", {}).get("id") == self._sites and event["kind"].startswith("Column")

    def _html(self) -> str:
        with urllib.request.urlopen(self._url, timeout=300) as response:
            return unescape(response.read().decode())

    async def _patch(self, event: dict[str, Any]) -> None:
        await self._send("PATCH-DOC", {"events": [event]})

    async def _send(self, kind: str, content: dict[str, Any]) -> None:
        assert self._socket is not None
        for part in ({"msgid": uuid.uuid4().hex, "msgtype": kind}, {}, content):
            await self._socket.write_message(json.dumps(part))

    async def _until(self, kind: str) -> tuple[dict[str, Any], str]:
        while True:
            header, content = await self._receive()
            if header["msgtype"] == kind:
                return header, content

    async def _receive(self) -> tuple[dict[str, Any], str]:
        reading, self._reading = self._reading or asyncio.create_task(self._read()), None
        return await reading

    async def _read(self) -> tuple[dict[str, Any], str]:
        header = json.loads(await self._frame())
        await self._frame()
        content = await self._frame()
        for _ in range(2 * header.get("num_buffers", 0)):
            await self._frame()
        self.messages += 1
        return header, str(content)

    async def _frame(self) -> str | bytes:
        assert self._socket is not None
        frame = await self._socket.read_message()
        if frame is None:
            raise ConnectionError("The server closed the connection.")
        self.bytes += len(frame)
        return frame


async def simulate_sessions(
    url: str, count: int, interval: float, switches: int
) -> tuple[list[float], list[str]]:
    """Let concurrent sessions switch the metric; return the seconds of every switch, and the errors.

    Parameters
    ----------
    count
        Number of sessions, opened one after the other.
    interval
        Seconds between two switches of a session; the sessions start at evenly distributed times.
    switches
        Number of switches of each session.
    """
    times: list[float] = []
    errors: list[str] = []
    sessions = [WebSession(url) for _ in range(count)]
    for session in sessions:
        await session.open()
        await session.drain(0.5)

    async def switch_repeatedly(session: WebSession, delay: float) -> None:
        try:
            await session.drain(delay + 0.001)
            for k in range(switches):
                begin = time.perf_counter()
                times.append(await session.switch(METRICS[k % len(METRICS)]))
                await session.drain(max(0.001, interval - (time.perf_counter() - begin)))
        except (RuntimeError, OSError) as error:
            errors.append(f"{type(error).__name__}: {error}")

    await asyncio.gather(*(switch_repeatedly(s, k * interval / count) for k, s in enumerate(sessions)))
    for session in sessions:
        session.close()
    return times, errors


def _models(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "object" and "attributes" in node:
            yield node
        for child in node.values():
            yield from _models(child)
    elif isinstance(node, list):
        for child in node:
            yield from _models(child)
