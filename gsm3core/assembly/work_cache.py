"""Cache of the finished pieces of a build, so that an interrupted build resumes."""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from filelock import FileLock, Timeout

from gsm3core.errors import DatasetError
from gsm3core.files import atomic_write, sha256

_LAYOUT = 3  # raise when pieces of an earlier version must not be reused
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOCK = ".lock"
_PIECE_FILES = re.compile(r"\.?[\w-]+-[0-9a-f]{12}\.(nc|json)(\.[0-9a-f]{8}\.nc|\.part)?")

Metadata = dict[str, Any]
Compute = Callable[[], tuple[xr.Dataset, Metadata, Iterable[Path]]]


@dataclass(frozen=True, slots=True)
class CachedPiece:
    """One finished piece of a build.

    Parameters
    ----------
    path
        netCDF file with the data.
    metadata
        JSON record kept with the data, such as counts.
    inputs
        SHA-256 of each input file.
    reused
        Whether the piece was in the cache already.
    """

    path: Path
    metadata: Metadata
    inputs: Mapping[str, str]
    reused: bool


class WorkCache:
    """Folder of finished pieces of one dataset.

    Parameters
    ----------
    folder
        Created when it is locked or the first piece is written.

    Notes
    -----
    A piece is two files: the data, and a record with its key and the files it may depend on. The record is written
    last; data without a record are ignored. A piece is reused if its key is the same and each file has the same size
    and modification time, or, where the time differs, the same bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder against other builds; the lock ends with its process.

        Raises
        ------
        DatasetError
            If another build uses the folder, or it cannot be created.
        """
        lock = FileLock(self.folder / _LOCK)
        with explain_write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(blocking=False)
            except Timeout as error:
                raise DatasetError(
                    f"{self.folder}: another build uses this work folder. Wait for it, or choose another folder with --work."
                ) from error
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes the file on release, and cannot while it is open
                (self.folder / _LOCK).unlink()
            lock.release()
            with suppress(OSError):  # the folder still holds pieces or the user's files
                self.folder.rmdir()

    def get_or_compute(
        self, label: str, key: Mapping[str, Any], files: Iterable[Path], compute: Compute
    ) -> CachedPiece:
        """Return a piece from the cache, or compute and store it.

        Parameters
        ----------
        label
            Start of the file name.
        key
            Everything but the files that the content depends on; plain JSON.
        files
            Files that the content may depend on: a new or changed one invalidates the piece.
        compute
            Returns the data, their metadata, and the files that were read.

        Raises
        ------
        DatasetError
            If the piece cannot be written, such as on a full disk, or a file changed while it was read. Pieces
            finished before are kept.
        """
        text = json.dumps({"layout": _LAYOUT, **key}, sort_keys=True, default=str)
        stem = f"{label}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        path, record = self.folder / f"{stem}.nc", self.folder / f"{stem}.json"
        listed = sorted({Path(f).resolve() for f in files})
        if (
            (known := _read_record(record))
            and _size_and_time(path)[0] == known["bytes"]
            and known["key"] == text
            and _files_unchanged(known["files"], listed)
        ):
            return CachedPiece(path, known["metadata"], known["inputs"], reused=True)
        before = {p: _size_and_time(p) for p in listed}
        ds, metadata, read = compute()
        inputs = {str(p): sha256(p) for p in sorted({Path(p).resolve() for p in read})}
        if changed := [p for p in listed if _size_and_time(p) != before[p]]:
            raise DatasetError(
                f"{changed[0]} changed while it was read. Rerun the command when the file is complete; finished pieces are kept."
            )
        stats = {str(p): [*before[p], inputs.get(str(p), "")] for p in listed}
        content = {"key": text, "metadata": metadata, "inputs": inputs, "files": stats}
        with explain_write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            record.unlink(missing_ok=True)
            atomic_write(ds, path)
            part = record.with_name(f".{record.name}.part")
            part.write_text(json.dumps(content | {"bytes": path.stat().st_size}), encoding="utf-8")
            part.replace(record)
        return CachedPiece(path, metadata, inputs, reused=False)

    def clear(self) -> None:
        """Remove the pieces and nothing else: the folder may be the user's own."""
        for path in self.folder.glob("*"):
            if _PIECE_FILES.fullmatch(path.name):
                path.unlink(missing_ok=True)


@contextmanager
def explain_write_errors(target: Path) -> Iterator[None]:
    """Turn a failed write into an error that names the path, the cause and what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in _DISK_FULL or "No space left" in str(error)
        problem = "the disk is full. Free space" if full else f"cannot be written ({error}). Fix this"
        raise DatasetError(
            f"{target}: {problem} and rerun the command; finished pieces are kept, incomplete files are removed."
        ) from error


def _read_record(record: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return found if {"key", "metadata", "inputs", "files", "bytes"} <= set(found) else {}


def _files_unchanged(known: Mapping[str, list[Any]], files: list[Path]) -> bool:
    if set(known) != set(map(str, files)):
        return False
    for path in files:
        size, time, digest = known[str(path)]
        now = _size_and_time(path)
        if now != [size, time] and not (now[0] == size and digest and digest == sha256(path)):
            return False
    return True


def _size_and_time(path: Path) -> list[int]:
    """Return bytes and modification time (ns); [-1, -1] for a file that does not exist."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return [-1, -1]
    return [found.st_size, found.st_mtime_ns]
