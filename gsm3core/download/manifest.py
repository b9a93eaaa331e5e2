"""The manifest of a folder of downloads, with checksums, the check of paths, and the lock of the folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from gsm3core.errors import DatasetError

FILE = "manifest.jsonl"
_LOCK = ".download.lock"


class Manifest:
    """One JSON line per downloaded file in ``manifest.jsonl``: path, URL, SHA-256, bytes, HTTP validators, date.

    The last line of a path counts. A line is appended when its file is complete; a truncated last line is ignored, and
    its file downloaded again.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._entries: dict[str, dict[str, Any]] = {}
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""
        self._truncated = bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                self._entries[entry.pop("path")] = entry
            except (json.JSONDecodeError, KeyError, AttributeError, TypeError):
                continue

    def get(self, path: str) -> dict[str, Any] | None:
        """Return the entry of a file, or None."""
        return self._entries.get(path)

    def add(self, path: str, entry: dict[str, Any]) -> None:
        """Append the entry of a complete file."""
        entry = entry | {"fetched": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self._entries[path] = entry
        with self.path.open("a", encoding="utf-8") as log:
            log.write(("\n" if self._truncated else "") + json.dumps({"path": path, **entry}) + "\n")
        self._truncated = False


def check_path(path: str) -> None:
    """Raise unless a relative path, whose names come from a server, stays in its folder.

    Raises
    ------
    DatasetError
        If it is absolute or holds ``..``, a backslash or a colon.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or set(path) & {"\\", ":"}:
        raise DatasetError(
            f"invalid path {path!r}: it leads out of the download folder. Nothing was downloaded."
        )


@contextmanager
def only_download(root: Path) -> Iterator[None]:
    """Wait until no other process downloads into a folder: nothing is requested twice, no file is written by two."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / _LOCK)
        lock.acquire()
    except (
        OSError,
        NotImplementedError,
    ):  # a folder without write permission or locks, which may have all files
        yield
        return
    try:
        yield
    finally:
        lock.release()
