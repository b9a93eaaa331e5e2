"""Parallel download of files into a folder over HTTP, with retries and checksums; a file is complete or absent."""

from __future__ import annotations

import errno
import hashlib
import tempfile
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

_RETRY_STATUSES = (429, 500, 502, 503, 504)
_LONGEST_WAIT = 60.0  # seconds between two attempts
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_SHOWN = 5

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Limits of the requests to a server; a ``Retry-After`` header takes precedence over ``backoff``."""

    jobs: int = 4  # parallel connections: enough for the bandwidth, no burden for a public server
    timeout: float = 30.0  # seconds without data
    attempts: int = 6  # per file, each from its first byte
    backoff: float = 1.0  # seconds, doubled after every attempt
    max_bytes: int = 1 << 30  # per file

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= 16:
            raise DatasetError(f"jobs is {self.jobs}; expected 1 to 16 parallel connections.")
        if self.timeout <= 0 or self.attempts < 1:
            raise DatasetError(
                f"timeout is {self.timeout} and attempts {self.attempts}; expected > 0 s and >= 1."
            )


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to download: its URL, and its path below the folder."""

    url: str
    path: str


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

    @property
    def available(self) -> list[str]:
        """All files in the folder."""
        return sorted([*self.new, *self.replaced, *self.kept])


class _MissingFileError(DatasetError):
    """HTTP 404 or 410."""


class _TransferError(Exception):
    """The body is incomplete or not the expected file; the next attempt may succeed."""


class _CappedRetry(Retry):
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
    """

    def __init__(
        self, folder: Path, policy: RetryPolicy | None = None, check: Callable[[Path], str] = lambda path: ""
    ) -> None:
        self.folder, self.policy, self.check = Path(folder), policy or RetryPolicy(), check
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
            If files cannot be downloaded or written; the others are kept.
        """
        files, result, failed = list(files), FetchResult(), dict[str, str]()
        for file in files:
            check_path(file.path)
        pool = ThreadPoolExecutor(self.policy.jobs)
        try:
            pending = {pool.submit(self._fetch_one, file, refresh): file.path for file in files}
            for count, future in enumerate(as_completed(pending), 1):
                path = pending[future]
                try:
                    outcome, entry, retries = future.result()
                    if entry:
                        self.manifest.add(path, entry)
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
            advice = " Free disk space and rerun the command." if error.errno in _DISK_FULL else ""
            problem = f"cannot write to {self.folder}: {error.strerror or error}."
            raise DatasetError(problem + advice) from error
        finally:
            pool.shutdown(cancel_futures=True)
        if failed:
            shown = "\n".join(f"  - {failed[path]}" for path in sorted(failed)[:_SHOWN])
            raise DatasetError(
                f"{len(failed)} of {len(files)} files could not be downloaded; the others are kept. Fix this and rerun the "
                f"command:\n{shown}" + ("\n  ..." if len(failed) > _SHOWN else "")
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
        finally:
            part.unlink(missing_ok=True)
        if entry is None or (intact and entry["sha256"] == intact["sha256"]):
            return "kept", entry, retries
        return ("new" if known is None else "replaced"), entry, retries

    def _download(
        self, url: str, path: Path, headers: dict[str, str], check: Callable[[Path], str]
    ) -> tuple[Entry | None, int]:
        """Write a URL to ``path``; return its manifest entry (None for HTTP 304) and the number of retries."""
        for failures in range(self.policy.attempts):  # urllib3 retries a request only until its body begins
            if failures:
                time.sleep(min(_LONGEST_WAIT, self.policy.backoff * 2 ** (failures - 1)))
            try:
                entry, retries = self._attempt(url, path, headers)
                if not entry or not (problem := check(path)):
                    return entry, failures + retries
            except _TransferError as error:
                problem = str(error)
        raise DatasetError(f"{url}: {problem} ({self.policy.attempts} attempts). Try later.")

    def _attempt(self, url: str, path: Path, headers: dict[str, str]) -> tuple[Entry | None, int]:
        tries, limit = f"({self.policy.attempts} attempts)", self.policy.max_bytes
        try:
            response = self.session.get(url, headers=headers, stream=True, timeout=self.policy.timeout)
        except requests.RequestException as error:
            reason = f"{_reason(error)} {tries}"
            raise DatasetError(f"{url}: {reason}. Check the connection and the address.") from error
        with response, path.open("wb") as out:
            retries, code = len(response.raw.retries.history), response.status_code
            problem = f"{url}: HTTP {code} {response.reason}"
            if code in (404, 410):
                raise _MissingFileError(f"{problem}. Check the address and the years.")
            if code in _RETRY_STATUSES:
                raise DatasetError(f"{problem} {tries}. The server is overloaded or down: try later.")
            if code == requests.codes.not_modified:
                return None, retries
            if code != requests.codes.ok:
                raise DatasetError(f"{problem}. Check the address; the server may require an account.")
            digest, size = hashlib.sha256(), 0
            try:
                for block in response.iter_content(1 << 16):
                    digest.update(block)
                    size += out.write(block)
                    if size > limit:
                        raise DatasetError(f"{url} has more than {limit:,} bytes, the limit of a file.")
            except requests.RequestException as error:
                raise _TransferError(_reason(error)) from error
        length = response.headers.get("Content-Length", "")
        if length.isdigit() and int(length) != size and "Content-Encoding" not in response.headers:
            raise _TransferError(f"{size:,} of {int(length):,} bytes received")
        validators = {
            "etag": response.headers.get("ETag"),
            "last_modified": response.headers.get("Last-Modified"),
        }
        return {"url": url, "sha256": digest.hexdigest(), "bytes": size, **validators}, retries


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return "the connection timed out"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was closed before the end of the file"
    if isinstance(error, requests.exceptions.SSLError):
        return f"invalid TLS certificate ({error})"
    return "no connection to the server" if isinstance(error, requests.ConnectionError) else str(error)
