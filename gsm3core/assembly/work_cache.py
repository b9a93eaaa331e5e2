"""The work folder of a long build: finished pieces, each with the files it was made of, so that a kill loses little."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from gsm3core.errors import DatasetError
from gsm3core.files import atomic_write, sha256

_LAYOUT = 2  # raise when pieces of an earlier version must not be taken over
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOCK = ".lock"
_OURS = re.compile(r"\.?[\w-]+-[0-9a-f]{12}\.(nc|json)(\.[0-9a-f]{8}\.nc|\.part)?")

Account = dict[str, Any]
Make = Callable[[], tuple[xr.Dataset, Account, Iterable[Path]]]


@dataclass(frozen=True, slots=True)
class Piece:
    """One finished piece: a netCDF file, what was counted, and the files it was made of with their SHA-256."""

    path: Path
    account: Account
    inputs: Mapping[str, str]
    fresh: bool


class WorkFolder:
    """A folder of pieces beside the dataset that they will make.

    Parameters
    ----------
    folder
        Made when the first piece is written.

    Notes
    -----
    A piece is two files: the data, and then a record with what it was asked for and which files it may depend on. The
    record is written last, so that data without one count for nothing. A piece is taken over when it was asked for in the
    same words and each file has the size and time of before, or, where the time differs, still the same bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other builds out of the folder; a killed one holds it no longer.

        Raises
        ------
        DatasetError
            If another build is at work in it, or it cannot be made.
        """
        lock = self.folder / _LOCK
        with written(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            opened = lock.open("w")
        with opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DatasetError(
                    f"{self.folder}: another build is at work here. Wait for it, or give this one another folder with --work."
                ) from error
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
                with suppress(OSError):  # pieces are left in it, or files that are not ours
                    self.folder.rmdir()

    def piece(self, label: str, key: Mapping[str, Any], files: Iterable[Path], make: Make) -> Piece:
        """Return a piece, made now unless it is here.

        Parameters
        ----------
        label
            For the file's name.
        key
            Whatever the content depends on beside the files; plain JSON.
        files
            Every file that may matter: a new or changed one makes the piece anew.
        make
            Returns the data, what was counted, and the files that were read.

        Raises
        ------
        DatasetError
            If it cannot be written, such as on a full disk, or a file changed meanwhile; the pieces before it are kept.
        """
        text = json.dumps({"layout": _LAYOUT, **key}, sort_keys=True, default=str)
        stem = f"{label}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        path, record = self.folder / f"{stem}.nc", self.folder / f"{stem}.json"
        listed = sorted({Path(f).resolve() for f in files})
        if (
            (known := _read(record))
            and _stat(path)[0] == known["bytes"]
            and known["key"] == text
            and _unchanged(known["files"], listed)
        ):
            return Piece(path, known["account"], known["inputs"], fresh=False)
        before = {p: _stat(p) for p in listed}
        ds, account, read = make()
        inputs = {str(p): sha256(p) for p in sorted({Path(p).resolve() for p in read})}
        if changed := [p for p in listed if _stat(p) != before[p]]:
            raise DatasetError(
                f"{changed[0]} changed while it was read. Give the same command again when it is whole; finished pieces are kept."
            )
        stats = {str(p): [*before[p], inputs.get(str(p), "")] for p in listed}
        content = {"key": text, "account": account, "inputs": inputs, "files": stats}
        with written(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            record.unlink(missing_ok=True)
            atomic_write(ds, path)
            beside = record.with_name(f".{record.name}.part")
            beside.write_text(json.dumps(content | {"bytes": path.stat().st_size}), encoding="utf-8")
            beside.replace(record)
        return Piece(path, account, inputs, fresh=True)

    def clear(self) -> None:
        """Remove the pieces: the dataset is written. The folder may be the user's own: all else in it stays."""
        for path in self.folder.glob("*"):
            if _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)


@contextmanager
def written(place: Path) -> Iterator[None]:
    """Tell a failed write in words that help: where, why, and that finished pieces are kept."""
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL or "No space left" in str(error)
        advice = "the disk is full: make room" if full else f"it cannot be written ({error}): mend that"
        raise DatasetError(
            f"{place}: {advice} and give the same command again; finished pieces are kept, nothing half-written is."
        ) from error


def _read(record: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return found if {"key", "account", "inputs", "files", "bytes"} <= set(found) else {}


def _unchanged(known: Mapping[str, list[Any]], files: list[Path]) -> bool:
    if set(known) != set(map(str, files)):
        return False
    for path in files:
        size, time, digest = known[str(path)]
        now = _stat(path)
        if now != [size, time] and not (now[0] == size and digest and digest == sha256(path)):
            return False
    return True


def _stat(path: Path) -> list[int]:
    """Return size and time; of a file that is gone, what no file has."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return [-1, -1]
    return [found.st_size, found.st_mtime_ns]
