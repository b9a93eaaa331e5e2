"""One try at one file over HTTP: asked for, written into its part, and measured against what the server said."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import requests

from gsm3core.download.manifest import PartialDownload
from gsm3core.errors import DatasetError
from gsm3core.files import sha256

_BLOCK = 1 << 13  # what has come of a block is lost when a connection breaks in it
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How to ask a server.

    Parameters
    ----------
    jobs
        Connections at once. Four keep a public server unbothered and the line busy.
    timeout
        Seconds without a byte after which a connection counts as stalled.
    attempts
        Tries per file; each goes on from what is there, where the server can.
    backoff
        Seconds before the second try; doubled before each further one, up to a minute, or what the server asks for.
    largest
        Bytes; a file that is larger is refused.
    """

    jobs: int = 4
    timeout: float = 30.0
    attempts: int = 6
    backoff: float = 1.0
    largest: int = 1 << 30

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not 1 <= self.jobs <= 16:
            raise DatasetError(f"jobs is {self.jobs}; 1 to 16 connections at once.")
        if self.timeout <= 0 or self.attempts < 1:
            raise DatasetError("timeout must be positive and attempts at least 1.")


class RetryableError(Exception):
    """This try failed, the next may not; ``after`` is how many seconds the server asks to wait."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class AbsentError(Exception):
    """The server does not have the file."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What came of a try: the manifest's entry, whether it went on from a part."""

    entry: dict[str, Any]
    resumed: bool


class HttpClient:
    """Connections to servers, one a thread, kept open between files.

    Parameters
    ----------
    manners
        How to ask.
    stop
        Set to end every transfer at its next block.
    """

    def __init__(self, manners: RetryPolicy, stop: threading.Event) -> None:
        self.manners = manners
        self.stop = stop
        self._own = threading.local()
        self._opened: list[requests.Session] = []

    def close(self) -> None:
        """Close all connections."""
        for session in self._opened:
            session.close()

    def text(self, url: str, largest: int = 16 << 20) -> str:
        """Return a small page, such as a folder's listing."""
        raw = bytearray()
        with self._get(url, {}) as answer:
            for block in answer.iter_content(_BLOCK):
                raw += block
                if len(raw) > largest:
                    raise DatasetError(
                        f"{url} is larger than {largest >> 20} MB; expected a folder's listing."
                    )
        return raw.decode("utf-8", "replace")

    def transfer(
        self,
        url: str,
        part: PartialDownload,
        known: dict[str, Any] | None,
        check: Callable[[Path], str],
        count: Callable[[int], None],
    ) -> Transfer | None:
        """Fetch one file into its part; ``None`` if the server says that the version ``known`` has not changed.

        Raises
        ------
        TryAgainError, requests.RequestException
            The part is kept where it is good for going on.
        AbsentError
            The server does not have it.
        DatasetError
            Another try would not help.
        """  # fmt: skip
        offset, validator = part.resumable(url)
        headers = {"Range": f"bytes={offset}-", "If-Range": validator} if offset else {}
        if known is not None and not offset:
            pairs = (("If-None-Match", known.get("etag")), ("If-Modified-Since", known.get("last_modified")))
            headers = {k: x for k, x in pairs if x}
        with self._get(url, headers) as answer:
            if answer.status_code == requests.codes.not_modified:
                return None
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                part.drop()
                raise RetryableError("the part that was here does not fit the server's file")
            resumed = answer.status_code == requests.codes.partial_content
            total = self._total(answer, offset if resumed else 0, part)
            said = {"etag": answer.headers.get("ETag"), "last_modified": answer.headers.get("Last-Modified")}
            part.describe(url=url, **said)
            with part.path.open("ab" if resumed else "wb") as out:
                for block in answer.iter_content(_BLOCK):
                    if self.stop.is_set():
                        raise DatasetError("interrupted")
                    out.write(block)
                    count(len(block))
                    if out.tell() > self.manners.largest:
                        raise DatasetError(f"it has more than {self.manners.largest:,} bytes")
        size = part.path.stat().st_size
        if total is not None and size != total:
            if size > total:
                part.drop()
            raise RetryableError(f"cut short after {size:,} of {total:,} bytes")
        if wrong := check(part.path):
            part.drop()
            raise RetryableError(wrong)
        return Transfer({"url": url, "sha256": sha256(part.path), "bytes": size, **said}, resumed)

    def _total(self, answer: requests.Response, offset: int, part: PartialDownload) -> int | None:
        """Return the size of the whole file, where the server says it."""
        if offset:
            span, _, size = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            if span.partition("-")[0] != str(offset):
                part.drop()
                raise RetryableError(f"asked for bytes from {offset}, got {span!r}")
        else:
            size = "" if answer.headers.get("Content-Encoding") else answer.headers.get("Content-Length", "")
        total = int(size) if size.isdigit() else None
        if total is not None and total > self.manners.largest:
            raise DatasetError(f"it has {total:,} bytes; at most {self.manners.largest:,} are taken")
        return total

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
            # Without compression on the way, the length that the server states is the file's.
            self._own.session.headers.update({"User-Agent": _agent(), "Accept-Encoding": "identity"})
            self._opened.append(self._own.session)
        answer: requests.Response = self._own.session.get(
            url, headers=headers, stream=True, timeout=self.manners.timeout
        )
        code = answer.status_code
        if code in (200, 206, 304, 416):
            return answer
        answer.close()
        if code in (404, 410):
            raise AbsentError(f"the server has no such file ({code})")
        if code in _AGAIN:
            after = answer.headers.get("Retry-After", "")
            raise RetryableError(f"the server answered {code}", float(after) if after.isdigit() else None)
        raise DatasetError(f"the server answered {code} {answer.reason}")


def _agent() -> str:
    try:
        return f"gsm3/{version('gsm3')}"
    except PackageNotFoundError:  # a checkout that was never installed
        return "gsm3"


def plain(error: Exception) -> str:
    """Say in a few words what a library says in a paragraph."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return "the connection stalled"
    if isinstance(error, requests.exceptions.SSLError):
        return f"the server's certificate is not accepted ({error})"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return str(error)
