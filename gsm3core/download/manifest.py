"""What is known of fetched files: a manifest with checksums, and the parts of files that are not whole yet."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gsm3core.errors import DatasetError

FILE = "manifest.jsonl"


class Manifest:
    """One JSON line per fetched file in ``manifest.jsonl``: path, URL, SHA-256, bytes, validators, when.

    The last line of a path counts. A line is appended when its file is whole, so that a kill loses nothing but the
    file in hand; a torn last line is passed over, and that file fetched again.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._known: dict[str, dict[str, Any]] = {}
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""
        self._torn = bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                self._known[entry.pop("path")] = entry
            except (json.JSONDecodeError, KeyError, AttributeError, TypeError):
                continue

    def __len__(self) -> int:
        return len(self._known)

    def get(self, path: str) -> dict[str, Any] | None:
        """Return what is known of a file, or nothing."""
        return self._known.get(path)

    def add(self, path: str, entry: dict[str, Any]) -> None:
        """Book a file that is whole."""
        entry = entry | {"fetched": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self._known[path] = entry
        with self.path.open("a", encoding="utf-8") as log:
            log.write(("\n" if self._torn else "") + json.dumps({"path": path, **entry}) + "\n")
        self._torn = False


@dataclass(frozen=True, slots=True)
class PartialDownload:
    """A file on its way: ``NAME.part``, and beside it what the server said of the version it is a part of."""

    target: Path

    @property
    def path(self) -> Path:
        """Where the bytes lie until they are whole."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def note(self) -> Path:
        """Where the version is noted."""
        return self.target.with_name(self.target.name + ".part.json")

    def describe(self, *, url: str, etag: str | None, last_modified: str | None) -> None:
        """Note which version the bytes to come are of."""
        self.note.write_text(
            json.dumps({"url": url, "etag": etag, "last_modified": last_modified}), encoding="utf-8"
        )

    def resumable(self, url: str) -> tuple[int, str]:
        """Return how many bytes are here and the validator of their version; nothing where either is missing.

        A weak ETag promises the same meaning, not the same bytes (RFC 9110, section 8.8.1): it will not do.
        """
        try:
            said = json.loads(self.note.read_text(encoding="utf-8"))
            size = self.path.stat().st_size
        except (OSError, json.JSONDecodeError):
            return 0, ""
        if not isinstance(said, dict) or said.get("url") != url:
            return 0, ""
        strong = said.get("etag") if not str(said.get("etag") or "W/").startswith("W/") else None
        validator = strong or said.get("last_modified")
        return (size, str(validator)) if size and validator else (0, "")

    def finish(self) -> None:
        """Give the whole file its name."""
        self.path.replace(self.target)
        self.note.unlink(missing_ok=True)

    def drop(self) -> None:
        """Forget the part."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def check_path(path: str) -> None:
    """Raise unless a path stays in its folder: names come from a server.

    Raises
    ------
    DatasetError
        If it is absolute, climbs, or holds anything but plain names.
    """
    parts = PurePosixPath(path).parts
    if (
        not path
        or path.startswith("/")
        or "\\" in path
        or ":" in path
        or any(p in ("..", ".", "/") for p in parts)
    ):
        raise DatasetError(f"the path {path!r} would leave the folder; nothing was fetched.")
