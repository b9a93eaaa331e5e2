"""Fetching files over HTTP into a folder: resumed, retried, checked, and never half there under their own name."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

import requests

from gsm3core.download.http import AbsentError, HttpClient, RetryableError, RetryPolicy, plain
from gsm3core.download.manifest import Manifest, PartialDownload, check_path
from gsm3core.errors import DatasetError
from gsm3core.files import sha256

T = TypeVar("T")
Listen = Callable[[int, int, int, str], None]
"""Told of files done, files in all, bytes fetched, and the file just done."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_LONGEST_WAIT = 60.0
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Item:
    """One file to fetch: where from, and where to below the folder."""

    url: str
    path: str


@dataclass(slots=True)
class Fetched:
    """What became of the files, by path.

    ``new`` were fetched; ``replaced`` too, because the server's or the local copy had changed; ``kept`` were here;
    the server does not have the ``missing``; ``resumed`` went on from a part.
    """

    new: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    retries: int = 0
    bytes: int = 0

    @property
    def here(self) -> list[str]:
        """All files that are here now."""
        return sorted([*self.new, *self.replaced, *self.kept])

    @property
    def done(self) -> int:
        """How many files are settled."""
        return len(self.here) + len(self.missing)


class Fetcher:
    """Fetches files into a folder, which it keeps a manifest of.

    Parameters
    ----------
    folder
        Where to. Files lie there under their own names only when whole; parts end in ``.part``.
    manners
        How to ask.
    check
        Says what is wrong with a fetched file (an error page with status 200), or nothing.

    Notes
    -----
    A part is resumed with ``Range`` and ``If-Range`` (RFC 9110, sections 14.2 and 13.1.5), so that bytes of two
    versions are never joined. Interrupting at any moment leaves what is here to be gone on from.
    """

    def __init__(
        self, folder: Path, manners: RetryPolicy | None = None, check: Callable[[Path], str] | None = None
    ) -> None:
        self.folder = Path(folder)
        self.manners = manners or RetryPolicy()
        self.check = check or (lambda path: "")
        self.manifest = Manifest(self.folder)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._line = HttpClient(self.manners, self._stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def text(self, url: str) -> str:
        """Return a small page, such as a folder's listing.

        Raises
        ------
        DatasetError
            If it is not to be had.
        """
        try:
            return self._retried(lambda: self._line.text(url), url, Fetched())
        except AbsentError as error:
            raise DatasetError(f"{url}: {error}. Is the address right?") from error

    def fetch(self, items: Iterable[Item], *, refresh: bool = False, listen: Listen | None = None) -> Fetched:
        """Fetch files; those that are here and match the manifest are kept.

        Parameters
        ----------
        items
            What to fetch.
        refresh
            Ask the server whether the files that are here have changed.
        listen
            Told of every file.

        Raises
        ------
        DatasetError
            If a file could not be had after all tries, or the disk is full. What was fetched stays, parts too: the
            same call goes on from there.
        """
        listed, result, failed = list(items), Fetched(), dict[str, str]()
        for item in listed:
            check_path(item.path)

        def one(item: Item) -> None:
            try:
                self._one(item, refresh, result)
            except AbsentError:
                with self._lock:
                    result.missing.append(item.path)
            except DatasetError as error:
                failed[item.path] = str(error)
            if listen:
                with self._lock:
                    listen(result.done + len(failed), len(listed), result.bytes, item.path)

        pool = ThreadPoolExecutor(self.manners.jobs)
        try:
            for task in wait([pool.submit(one, i) for i in listed], return_when=FIRST_EXCEPTION).done:
                task.result()
        except OSError as error:
            raise DatasetError(
                f"{self.folder} cannot be written: {error.strerror or error}."
                + (
                    " Make room; what was fetched is kept, and the same command goes on."
                    if error.errno in _FULL
                    else ""
                )
            ) from error
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self._stop.clear()
        if failed:
            shown = "\n".join(f"  - {why}" for _, why in sorted(failed.items())[:_SHOWN])
            raise DatasetError(
                f"{len(failed)} of {len(listed)} files could not be fetched; the others are kept, and the same command "
                f"goes on from here:\n{shown}" + ("\n  ..." if len(failed) > _SHOWN else "")
            )
        return result

    def _one(self, item: Item, refresh: bool, result: Fetched) -> None:
        target, known = self.folder / item.path, self.manifest.get(item.path)
        intact = known is not None and target.is_file() and sha256(target) == known["sha256"]
        got = None
        if refresh or not intact:
            target.parent.mkdir(parents=True, exist_ok=True)

            def count(more: int) -> None:
                with self._lock:
                    result.bytes += more

            got = self._retried(
                lambda: self._line.transfer(
                    item.url, PartialDownload(target), known if intact else None, self.check, count
                ),
                item.path,
                result,
            )
        with self._lock:
            if got is None or (intact and known is not None and got.entry["sha256"] == known["sha256"]):
                result.kept.append(item.path)
            else:
                (result.new if known is None else result.replaced).append(item.path)
            if got is not None:
                PartialDownload(target).finish()
                self.manifest.add(item.path, got.entry)
                if got.resumed:
                    result.resumed.append(item.path)

    def _retried(self, act: Callable[[], T], what: str, result: Fetched) -> T:
        why = ""
        for attempt in range(self.manners.attempts):
            if self._stop.is_set():
                break
            try:
                return act()
            except (RetryableError, requests.RequestException) as error:
                why, asked = plain(error), getattr(error, "after", None)
            except DatasetError as error:
                raise DatasetError(f"{what}: {error}") from error
            if attempt + 1 < self.manners.attempts:
                with self._lock:
                    result.retries += 1
                pause = self.manners.backoff * 2**attempt if asked is None else asked
                self._stop.wait(min(_LONGEST_WAIT, pause))
        raise DatasetError(f"{what}: {why or 'interrupted'} ({self.manners.attempts} tries)")
