"""The files of a source's folders with the information in their names, listed once for a build."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from gsm3core.catalog import SourceEntry
from gsm3core.errors import DatasetError
from gsm3core.readers.file_names import match_name, sibling_of_name, without_identical_copies

Roots = Path | Sequence[Path]


@dataclass
class FileListing:
    """Files of one source in its folders.

    Parameters
    ----------
    files
        All files.
    matching
        Those whose names are the source's, and not another product's.
    """

    entry: SourceEntry
    files: list[Path]
    matching: list[Path]
    _parts: dict[Path, dict[str, str]] = field(default_factory=dict)
    _starts: dict[Path, dt.datetime | None] = field(default_factory=dict)

    @cached_property
    def unique(self) -> list[Path]:
        """Matching files without identical copies."""
        return without_identical_copies(self.matching)

    def parts(self, path: Path) -> dict[str, str]:
        """Return the named parts of a file name."""
        if path not in self._parts:
            match = match_name(self.entry, path.name)
            self._parts[path] = {k: x for k, x in match.groupdict().items() if x is not None} if match else {}
        return self._parts[path]

    def start(self, path: Path) -> dt.datetime | None:
        """Return the time in a file name; ``None`` if it has none.

        Raises
        ------
        DatasetError
            If the date is invalid.
        """
        if path not in self._starts:
            self._starts[path] = _start_time(self.parts(path), path)
        return self._starts[path]


_kept: ContextVar[dict[tuple[object, ...], FileListing] | None] = ContextVar("kept_listings", default=None)


@contextmanager
def listed_once() -> Iterator[None]:
    """List the folders of each source once within the block: an archive of many files is read month by month."""
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def list_files(entry: SourceEntry, root: Roots) -> FileListing:
    """Return the files of a source in folders and their subfolders, or single files."""
    kept, key = _kept.get(), (entry.name, *folders(root))
    if kept is not None and key in kept:
        return kept[key]
    paths = (p for one in folders(root) for p in ([one] if one.is_file() else sorted(one.rglob("*"))))
    # macOS puts files of its own beside those that it copies.
    files = [p for p in dict.fromkeys(paths) if p.is_file() and not p.name.startswith("._")]
    matching = [p for p in files if match_name(entry, p.name) and not sibling_of_name(entry, p.name)]
    listing = FileListing(entry, files, matching)
    if kept is not None:
        kept[key] = listing
    return listing


def folders(root: Roots) -> list[Path]:
    """Return the folders of a source."""
    return [Path(root)] if isinstance(root, str | Path) else [Path(p) for p in root]


def _start_time(parts: dict[str, str], path: Path) -> dt.datetime | None:
    """Return the time in the named parts of a file name: day or year + doy, time or hour."""
    day = parts.get("day") or (parts["year"] + parts["doy"] if "doy" in parts else "")
    if not day and "year" not in parts:
        return None
    if not day:
        return dt.datetime(int(parts["year"]), 1, 1)
    clock = (parts.get("time") or parts.get("hour", "")).ljust(6, "0")
    form = ("%Y%m%d" if len(day) == 8 else "%Y%j") + "%H%M%S"
    try:
        moment = dt.datetime.strptime(day + clock, form)
    except ValueError:
        moment = None
    # Day 366 of a common year would pass as the first of the next.
    if moment is None or moment.strftime(form) != day + clock:
        raise DatasetError(f"{path}: invalid date in the file name ({day} {clock}).")
    return moment
