"""ISMN archives (folder or zip file): sensor files by station, read without unpacking."""

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

# CSE_Network_Station_variable_from_to_sensor_start_end.stm; network and station names have no underscore.
_NAME = re.compile(
    r"^(?P<station>.+?)_(?P<variable>[a-z]+)_(?P<top>-?\d+\.\d+)_(?P<bottom>-?\d+\.\d+)_(?P<sensor>.+)_\d{8}_\d{8}\.stm$"
)
_LARGEST_FILE = 1 << 30  # 80 years of hourly values are 70 MB
UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class SensorFile:
    """One data file: path in the archive, sensor and depths (m) from its name."""

    path: str
    sensor: str
    top: float
    bottom: float

    @property
    def depth(self) -> float:
        """Middle of the layer, m."""
        return (self.top + self.bottom) / 2


@dataclass(slots=True)
class StationFiles:
    """Files of one station in an archive."""

    folder: str
    name: str
    sensors: list[SensorFile] = field(default_factory=list)
    static: str | None = None
    other_variables: int = 0


class Archive(Protocol):
    """Read access to the files of an archive."""

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
            raise OSError(f"unpacked size exceeds {_LARGEST_FILE >> 20} MB")
        return self.opened.read(name)


@contextmanager
def open_archive(root: Path) -> Iterator[Archive]:
    """Open a folder or zip file for reading; zip files are read in place, without unpacking.

    Raises
    ------
    DatasetError
        If there is no archive, the zip file is damaged, or a path in it points outside of the archive.
    """
    if root.is_dir():
        yield _Folder(root)
        return
    if not root.is_file():
        raise DatasetError(
            f"{root} does not exist; expected an ISMN archive: the downloaded .zip, or its folder."
        )
    try:
        opened = zipfile.ZipFile(root)
    except UNREADABLE as error:
        raise DatasetError(
            f"{root} cannot be read as a zip file: {error}. If the download was incomplete, download it again."
        ) from error
    with opened:
        for name in opened.namelist():
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0]:
                raise DatasetError(
                    f"{root}: the path {name!r} points outside of the archive. This is not an ISMN archive; nothing was read."
                )
        yield _Zip(opened)


def list_stations(archive: Archive, root: Path) -> tuple[list[StationFiles], list[str]]:
    """Return the files of an archive by station, from their names.

    Returns
    -------
    list of StationFiles, list of str
        Stations in the order of their paths, and data files whose names do not follow ISMN's pattern.

    Raises
    ------
    DatasetError
        If there is no data file.

    Notes
    -----
    The file name has depth and variable, so only sensors near the requested depth are opened; most of an archive
    (other depths, soil temperature) is not.
    """
    stations: dict[tuple[str, str], StationFiles] = {}
    statics: dict[str, list[str]] = {}
    unrecognized = []
    for path in archive.names():
        folder, _, file = path.rpartition("/")
        if file.endswith("_static_variables.csv"):
            statics.setdefault(folder, []).append(path)
        if not file.endswith(".stm"):
            continue
        if (found := _NAME.match(file)) is None:
            unrecognized.append(path)
            continue
        station = stations.setdefault((folder, found["station"]), StationFiles(folder, found["station"]))
        if found["variable"] == "sm":
            station.sensors.append(
                SensorFile(path, found["sensor"], float(found["top"]), float(found["bottom"]))
            )
        else:
            station.other_variables += 1
    if not stations and not unrecognized:
        raise DatasetError(
            f"{root} has no ISMN data file (.stm). Expected the archive as downloaded from ismn.earth, in the layout "
            "'header+values' or 'CEOP in separate files'."
        )
    for station in stations.values():
        for path in statics.get(station.folder, []):
            if path.rpartition("/")[2].startswith(f"{station.name}_"):
                station.static = path
    return [stations[key] for key in sorted(stations)], unrecognized
