"""Parallel download of files into a folder over HTTP, with retries and checksums; a file is complete or absent."""

from __future__ import annotations

import errno
import hashlib
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from requests.utils import default_user_agent
from urllib3 import BaseHTTPResponse
from urllib3.util import Retry

from gsm3core.download.manifest import Manifest, check_path
from gsm3core.errors import DatasetError
from gsm3core.files import sha256

ProgressCallback = Callable[[int, int, int, str], None]
"""Called with files done, files in total, bytes received and the path of the last file; to cancel, it raises."""

_RETRY_STATUSES = (500, 502, 503, 504)
_LONGEST_WAIT = 60.0  # seconds between two attempts
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_SHOWN = 5
_LATER = "The server limits the number of requests: rerun the command later, it continues."
_REASON_BYTES = 1 << 16
_LONG_LIMIT = re.compile(r"\b(daily|hourly)\b", re.IGNORECASE)

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Limits of the requests to a server; a ``Retry-After`` header takes precedence over ``backoff``."""

    jobs: int = 4  # parallel connections: enough for the bandwidth, no burden for a public server
    timeout: float = 30.0  # seconds without data
    attempts: int = 6  # per file, each from its first byte
    backoff: float = 1.0  # seconds, doubled after every attempt
    max_bytes: int = 1 << 30  # per file
    interval: float = 0.0  # seconds between the starts of two requests, of all connections together

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= 16:
            raise DatasetError(f"jobs is {self.jobs}; expected 1 to 16 parallel connections.")
        if self.timeout <= 0 or self.attempts < 1:
            raise DatasetError(
                f"timeout is {self.timeout} and attempts {self.attempts}; expected > 0 s and >= 1."
            )


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to download: its URL, its path below the folder, and what the manifest says of it besides."""

    url: str
    path: str
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class FetchResult:
    """Paths by outcome, retries, and bytes received.

    ``new`` and ``replaced`` files were downloaded, the latter because the server's file or the local copy had changed;
    ``kept`` files are unchanged; the server does not have the ``missing``.
    """

    new: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    retries: int = 0
    bytes: int = 0
    parts: int = 0  # requests for parts of files beyond the first one of each file

    @property
    def available(self) -> list[str]:
        """All files in the folder."""
        return sorted([*self.new, *self.replaced, *self.kept])

    @property
    def requests(self) -> int:
        """Requests made for the files downloaded, retries included."""
        return len(self.new) + len(self.replaced) + self.retries + self.parts

    def add(self, other: FetchResult) -> FetchResult:
        """Return the sum of two results."""
        lists = ("new", "replaced", "kept", "missing")
        return FetchResult(
            **{n: [*getattr(self, n), *getattr(other, n)] for n in lists},
            retries=self.retries + other.retries,
            bytes=self.bytes + other.bytes,
            parts=self.parts + other.parts,
        )


class IncompleteDownloadError(DatasetError):
    """Some files could not be downloaded; ``result`` has the others."""

    def __init__(self, message: str, result: FetchResult) -> None:
        super().__init__(message)
        self.result = result


class _MissingFileError(DatasetError):
    """HTTP 404 or 410."""


class _LimitError(DatasetError):
    """HTTP 429 after all attempts: further requests would be refused too."""


class _TooManyRequestsError(Exception):
    """HTTP 429; the next attempt may succeed after ``wait`` seconds."""

    def __init__(self, problem: str, wait: float | None) -> None:
        super().__init__(problem)
        self.wait = wait


class _TransferError(Exception):
    """The body is incomplete or not the expected file; the next attempt may succeed."""


class _CappedRetry(Retry):
    RETRY_AFTER_STATUS_CODES = frozenset([503])  # 429 is handled by Fetcher, which reads the reason

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, _LONGEST_WAIT)


class Fetcher:
    """Downloads files into a folder and keeps its manifest.

    A file is written to ``NAME.part`` and renamed when complete. After a kill, the same call downloads only the files
    that the manifest does not list or whose checksum differs.

    Parameters
    ----------
    check
        Returns what is wrong with a downloaded file (an error page with status 200), or an empty text.
    reason
        Returns the server's own explanation from the body of an error response, or an empty text.
    """

    def __init__(
        self,
        folder: Path,
        policy: RetryPolicy | None = None,
        check: Callable[[Path], str] = lambda path: "",
        reason: Callable[[bytes], str] = lambda body: "",
    ) -> None:
        self.folder, self.policy, self.check = Path(folder), policy or RetryPolicy(), check
        self.reason = reason
        self._pace = threading.Lock()
        self._next_request, self._limit = 0.0, ""
        self.manifest = Manifest(self.folder)
        self.session = requests.Session()  # shared by the threads
        # Content-Length is the file's length only if the transfer is not compressed.
        headers = {"User-Agent": f"gsm3 {default_user_agent()}", "Accept-Encoding": "identity"}
        self.session.headers.update(headers)
        retry = _CappedRetry(
            total=self.policy.attempts - 1, backoff_factor=self.policy.backoff, backoff_max=_LONGEST_WAIT,
            status_forcelist=_RETRY_STATUSES, raise_on_status=False,
        )  # fmt: skip
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=self.policy.jobs))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def get(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Return the response of a request, its body unread, within the limits of the policy."""
        self._wait_for_turn()
        return self.session.get(url, headers=headers, stream=True, timeout=self.policy.timeout)

    def text(self, url: str) -> str:
        """Return a text page, such as a directory listing."""
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page"
            self._download(url, page, {}, lambda path: "")
            return page.read_text(encoding="utf-8", errors="replace")

    def fetch(
        self, files: Iterable[RemoteFile], *, refresh: bool = False, on_progress: ProgressCallback | None = None
    ) -> FetchResult:  # fmt: skip
        """Download files; intact local copies are kept, with ``refresh`` only if the server's file has not changed.

        Raises
        ------
        DatasetError
            If files cannot be written; :class:`IncompleteDownloadError` if some cannot be downloaded. The others are kept.
        """
        files, result, failed = list(files), FetchResult(), dict[str, str]()
        for file in files:
            check_path(file.path)
        pending_notes = {file.path: file.notes for file in files}
        pool = ThreadPoolExecutor(self.policy.jobs)
        pending = {pool.submit(self._fetch_one, file, refresh): file.path for file in files}
        unseen = dict(pending)
        try:
            for count, future in enumerate(as_completed(pending), 1):
                path = unseen.pop(future)
                try:
                    outcome, entry, retries = future.result()
                    if entry:
                        self.manifest.add(path, pending_notes[path] | entry)
                        result.bytes += entry["bytes"]
                    result.retries += retries
                    getattr(result, outcome).append(path)
                except _MissingFileError:
                    result.missing.append(path)
                except DatasetError as error:
                    failed[path] = str(error)
                if on_progress:
                    on_progress(count, len(files), result.bytes, path)
        except OSError as error:
            raise DatasetError(write_problem(self.folder, error)) from error
        finally:
            pool.shutdown(cancel_futures=True)
            # After a cancellation, files that were under way are complete by now: they are not requested again.
            for future, path in unseen.items():
                if not future.cancelled() and not future.exception() and (entry := future.result()[1]):
                    self.manifest.add(path, pending_notes[path] | entry)
        if failed:
            reasons = list(dict.fromkeys(failed[path] for path in sorted(failed)))
            shown = "\n".join(f"  - {text}" for text in reasons[:_SHOWN])
            raise IncompleteDownloadError(
                f"{len(failed)} of {len(files)} files could not be downloaded; the others are kept. Fix this and rerun the "
                f"command:\n{shown}" + ("\n  ..." if len(reasons) > _SHOWN else ""),
                result,
            )
        return result

    def _fetch_one(self, file: RemoteFile, refresh: bool) -> tuple[str, Entry | None, int]:
        """Return the outcome (a list of :class:`FetchResult`), the manifest entry and the number of retries."""
        target, known = self.folder / file.path, self.manifest.get(file.path)
        intact = known if known and target.is_file() and sha256(target) == known["sha256"] else None
        if intact and not refresh:
            return "kept", None, 0
        validators = {"If-None-Match": "etag", "If-Modified-Since": "last_modified"}
        headers = {name: intact[key] for name, key in validators.items() if intact and intact.get(key)}
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        try:
            entry, retries = self._download(file.url, part, headers, self.check)
            if entry:
                part.replace(target)
        except _LimitError as error:
            self._limit = str(error)  # before this thread takes the next file
            raise
        finally:
            part.unlink(missing_ok=True)
        if entry is None or (intact and entry["sha256"] == intact["sha256"]):
            return "kept", entry, retries
        return ("new" if known is None else "replaced"), entry, retries

    def _download(
        self, url: str, path: Path, headers: dict[str, str], check: Callable[[Path], str]
    ) -> tuple[Entry | None, int]:
        """Write a URL to ``path``; return its manifest entry (None for HTTP 304) and the number of retries."""
        refused: _TooManyRequestsError | None = None
        for failures in range(self.policy.attempts):  # urllib3 retries a request only until its body begins
            if failures:
                wait = self.policy.backoff * 2 ** (failures - 1)
                time.sleep(
                    min(_LONGEST_WAIT, wait if refused is None or refused.wait is None else refused.wait)
                )
            refused = None
            try:
                entry, retries = self._attempt(url, path, headers)
                if not entry or not (problem := check(path)):
                    return entry, failures + retries
            except _TooManyRequestsError as error:
                refused, problem = error, str(error)
            except _TransferError as error:
                problem = str(error)
        if refused is not None:
            raise _LimitError(f"{problem} ({self.policy.attempts} attempts). {_LATER}")
        raise DatasetError(f"{url}: {problem} ({self.policy.attempts} attempts). Try later.")

    def _attempt(self, url: str, path: Path, headers: dict[str, str]) -> tuple[Entry | None, int]:
        tries, limit = f"({self.policy.attempts} attempts)", self.policy.max_bytes
        try:
            response = self.get(url, headers)
        except requests.RequestException as error:
            reason = f"{failure_reason(error)} {tries}"
            raise DatasetError(f"{url}: {reason}. Check the connection and the address.") from error
        with response, path.open("wb") as out:
            retries, code = len(response.raw.retries.history), response.status_code
            problem = f"{url}: HTTP {code} {response.reason}"
            if stated := self._reason_of(response) if code >= 400 else "":
                problem += f" ({stated})"
            if code in (404, 410):
                raise _MissingFileError(f"{problem}. Check the address and the years.")
            if code == requests.codes.too_many_requests:
                if _LONG_LIMIT.search(stated):
                    raise _LimitError(f"{problem}. {_LATER}")
                raise _TooManyRequestsError(problem, self._wait_of(response, stated))
            if code in _RETRY_STATUSES:
                raise DatasetError(f"{problem} {tries}. The server is overloaded or down: try later.")
            if code == requests.codes.not_modified:
                return None, retries
            if code != requests.codes.ok:
                advice = "" if stated else " Check the address; the server may require an account."
                raise DatasetError(f"{problem}.{advice}")
            digest, size = hashlib.sha256(), 0
            try:
                for block in response.iter_content(1 << 16):
                    digest.update(block)
                    size += out.write(block)
                    if size > limit:
                        raise DatasetError(f"{url} has more than {limit:,} bytes, the limit of a file.")
            except requests.RequestException as error:
                raise _TransferError(failure_reason(error)) from error
        length = response.headers.get("Content-Length", "")
        if length.isdigit() and int(length) != size and "Content-Encoding" not in response.headers:
            raise _TransferError(f"{size:,} of {int(length):,} bytes received")
        validators = {
            "etag": response.headers.get("ETag"),
            "last_modified": response.headers.get("Last-Modified"),
        }
        return {"url": url, "sha256": digest.hexdigest(), "bytes": size, **validators}, retries

    def _wait_for_turn(self) -> None:
        """Keep the minimum interval between requests; raise if the server's limit has been reached."""
        if self._limit:
            raise DatasetError(self._limit)
        if not self.policy.interval:
            return
        with self._pace:
            now = time.monotonic()
            wait = self._next_request - now
            self._next_request = max(now, self._next_request) + self.policy.interval
        time.sleep(max(0.0, wait))

    def _wait_of(self, response: requests.Response, stated: str) -> float | None:
        """Return the seconds to wait after HTTP 429, as the server states them; None if it does not."""
        after = response.headers.get("Retry-After", "")
        if after.isdigit():
            return float(after)
        return 60 * self.policy.backoff if "minut" in stated.lower() else None

    def _reason_of(self, response: requests.Response) -> str:
        try:
            return self.reason(next(response.iter_content(_REASON_BYTES), b""))
        except (requests.RequestException, ValueError, LookupError, TypeError, AttributeError):
            return ""


def write_problem(folder: Path, error: OSError) -> str:
    """Return why nothing can be written to a folder, and what to do."""
    advice = " Free disk space and rerun the command." if error.errno in _DISK_FULL else ""
    return f"cannot write to {folder}: {error.strerror or error}.{advice}"


def failure_reason(error: requests.RequestException) -> str:
    """Return what went wrong with a request, in plain words."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return "the connection timed out"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was closed before the end of the file"
    if isinstance(error, requests.exceptions.SSLError):
        return f"invalid TLS certificate ({error})"
    return "no connection to the server" if isinstance(error, requests.ConnectionError) else str(error)
