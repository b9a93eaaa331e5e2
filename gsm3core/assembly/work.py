"""The work folder of a long build: finished pieces, each with the files it was made of, so that a kill loses little."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from gsm3core.assembly.manifest import sha256
from gsm3core.errors import DatasetError
from gsm3core.schema import write_whole

_LAYOUT = 1  # raise when pieces of an earlier version must not be taken over
_FULL = (errno.ENOSPC, errno.EDQUOT)

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
    same words and each file has the size and time of before, or, where these differ, still the same bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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
            If it cannot be written, such as on a full disk; the pieces before it are kept.
        """
        text = json.dumps({"layout": _LAYOUT, **key}, sort_keys=True, default=str)
        stem = f"{label}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        path, record = self.folder / f"{stem}.nc", self.folder / f"{stem}.json"
        listed = sorted({Path(f).resolve() for f in files})
        if (
            (known := _read(record))
            and path.is_file()
            and known["key"] == text
            and _unchanged(known["files"], listed)
        ):
            return Piece(path, known["account"], known["inputs"], fresh=False)
        ds, account, read = make()
        inputs = {str(p): sha256(p) for p in sorted({Path(p).resolve() for p in read})}
        stats = {str(p): [*_stat(p), inputs.get(str(p), "")] for p in listed}
        content = {"key": text, "account": account, "inputs": inputs, "files": stats}
        with written(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            record.unlink(missing_ok=True)
            write_whole(ds, path)
            beside = record.with_name(f".{record.name}.part")
            beside.write_text(json.dumps(content), encoding="utf-8")
            beside.replace(record)
        return Piece(path, account, inputs, fresh=True)

    def clear(self) -> None:
        """Remove the folder: the dataset is written."""
        shutil.rmtree(self.folder, ignore_errors=True)


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
    return found if {"key", "account", "inputs", "files"} <= set(found) else {}


def _unchanged(known: Mapping[str, list[Any]], files: list[Path]) -> bool:
    if set(known) != set(map(str, files)):
        return False
    for path in files:
        size, time, digest = known[str(path)]
        if [size, time] != _stat(path) and not (digest and digest == sha256(path)):
            return False
    return True


def _stat(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
