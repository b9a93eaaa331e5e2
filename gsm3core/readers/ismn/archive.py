"""An ISMN archive, a folder or a zip file: which sensors each station has, without writing or unpacking anything."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from gsm3core.errors import DatasetError

# CSE_Network_Station_variable_from_to_sensor_start_end.stm; networks and stations hold no underscore here.
_NAME = re.compile(
    r"^(?P<station>.+?)_(?P<variable>[a-z]+)_(?P<top>-?\d+\.\d+)_(?P<bottom>-?\d+\.\d+)_(?P<sensor>.+)_\d{8}_\d{8}\.stm$"
)
_LARGEST_FILE = 1 << 30  # 80 years of hourly values are 70 MB: anything near this is no data file
UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class SensorFile:
    """One data file: where it lies in the archive, and what its name says (m)."""

    path: str
    sensor: str
    top: float
    bottom: float

    @property
    def depth(self) -> float:
        """The middle of the layer, m."""
        return (self.top + self.bottom) / 2


@dataclass(slots=True)
class StationFiles:
    """What an archive has of one station."""

    folder: str
    name: str
    sensors: list[SensorFile] = field(default_factory=list)
    static: str | None = None
    other_variables: int = 0


class Archive(Protocol):
    """Names of the files in an archive, and their bytes."""

    def names(self) -> list[str]:
        """Return the paths of all files, with forward slashes."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        ...


class _Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        return sorted(
            p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.suffix in (".stm", ".csv")
        )

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()


class _Zip:
    def __init__(self, opened: zipfile.ZipFile) -> None:
        self.opened = opened

    def names(self) -> list[str]:
        return sorted(i.filename for i in self.opened.infolist() if not i.is_dir())

    def read(self, name: str) -> bytes:
        if self.opened.getinfo(name).file_size > _LARGEST_FILE:
            raise OSError(f"it would unpack to more than {_LARGEST_FILE >> 20} MB")
        return self.opened.read(name)


@contextmanager
def open_archive(root: Path) -> Iterator[Archive]:
    """Open a folder or a zip file for reading; files of a zip are read in place, nothing is written anywhere.

    Raises
    ------
    DatasetError
        If there is none, the zip file is damaged, or one of its paths climbs out of it.
    """
    if root.is_dir():
        yield _Folder(root)
        return
    if not root.is_file():
        raise DatasetError(
            f"{root} does not exist; expected an ISMN archive: the .zip as downloaded, or its folder."
        )
    try:
        opened = zipfile.ZipFile(root)
    except UNREADABLE as error:
        raise DatasetError(
            f"{root} cannot be read as a zip file: {error}. Was its download cut short?"
        ) from error
    with opened:
        for name in opened.namelist():
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0]:
                raise DatasetError(
                    f"{root} holds the path {name!r}, which climbs out of the archive. It was not made by ISMN; nothing was read."
                )
        yield _Zip(opened)


def stations_of(archive: Archive, root: Path) -> tuple[list[StationFiles], list[str]]:
    """Group an archive's files by station, from their names alone.

    Returns
    -------
    list of StationFiles, list of str
        Stations in the order of their paths, and data files whose names are not ISMN's.

    Raises
    ------
    DatasetError
        If there is no data file at all.

    Notes
    -----
    Depth and variable stand in the file's name, so that only sensors near the wanted depth are ever opened; most of
    an archive (other depths, soil temperature) is not.
    """
    stations: dict[tuple[str, str], StationFiles] = {}
    statics: dict[str, list[str]] = {}
    strange = []
    for path in archive.names():
        folder, _, file = path.rpartition("/")
        if file.endswith("_static_variables.csv"):
            statics.setdefault(folder, []).append(path)
        if not file.endswith(".stm"):
            continue
        if (found := _NAME.match(file)) is None:
            strange.append(path)
            continue
        station = stations.setdefault((folder, found["station"]), StationFiles(folder, found["station"]))
        if found["variable"] == "sm":
            station.sensors.append(
                SensorFile(path, found["sensor"], float(found["top"]), float(found["bottom"]))
            )
        else:
            station.other_variables += 1
    if not stations and not strange:
        raise DatasetError(
            f"{root} holds no ISMN data file (.stm). Expected the archive as downloaded from ismn.earth, in the layout "
            "'header+values' or 'CEOP in separate files'."
        )
    for station in stations.values():
        for path in statics.get(station.folder, []):
            if path.rpartition("/")[2].startswith(f"{station.name}_"):
                station.static = path
    return [stations[key] for key in sorted(stations)], strange
