"""ISMN archives (folders and zip files): sensor files by station, read without unpacking."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from gsm3core.errors import DatasetError
from gsm3core.files import copy_order
from gsm3core.readers.ismn.stm_header import Header, read_header

# CSE_Network_Station_variable_from_to_sensor_start_end.stm. A browser adds " (1)" to a second download.
_NAME = re.compile(
    r"^(?P<station>.+?)_(?P<variable>[a-z]+)_(?P<top>-?\d+(?:\.\d+)?)_(?P<bottom>-?\d+(?:\.\d+)?)_(?P<sensor>.+)"
    r"_(?P<start>\d{8})_(?P<end>\d{8})(?: ?\(\d+\))?\.stm$",
    re.IGNORECASE,
)
_LARGEST_FILE = 1 << 30  # 80 years of hourly values are 70 MB
_HEAD = 4096
_STATIC = "_static_variables.csv"
UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class SensorFile:
    """One data file: path in the archive, sensor, depths (m) and last day from its name, and number in the archives."""

    path: str
    sensor: str
    top: float
    bottom: float
    end: str = ""
    position: int = 0

    @property
    def depth(self) -> float:
        """Middle of the layer, m."""
        return (self.top + self.bottom) / 2

    @property
    def record(self) -> tuple[float, float, str]:
        """What identifies a record of a station: depths and sensor."""
        return round(self.top, 4), round(self.bottom, 4), plain_name(self.sensor)


@dataclass(slots=True)
class StationFiles:
    """Files of one station, wherever they are in the archives.

    Parameters
    ----------
    headers
        By path, for the sensor files that were opened.
    """

    folder: str
    name: str
    sensors: list[SensorFile] = field(default_factory=list)
    statics: list[str] = field(default_factory=list)
    other_variables: int = 0
    headers: dict[str, Header] = field(default_factory=dict)


class Archive(Protocol):
    """Read access to the files of an archive."""

    def names(self) -> list[str]:
        """Return the paths of all files, with forward slashes."""
        ...

    def read(self, name: str, size: int = -1) -> bytes:
        """Return a file's bytes, or the first ``size`` of them."""
        ...


class _Folder:
    def __init__(self, root: Path, only: str = "") -> None:
        self.root, self.only = root, only

    def names(self) -> list[str]:
        if self.only:
            return [self.only]
        found = (p.relative_to(self.root).as_posix() for p in self.root.rglob("*"))
        return sorted((p for p in found if p.lower().endswith((".stm", ".csv"))), key=copy_order)

    def read(self, name: str, size: int = -1) -> bytes:
        with (self.root / name).open("rb") as opened:
            return opened.read(size)


class _Zip:
    def __init__(self, opened: zipfile.ZipFile) -> None:
        self.opened = opened

    def names(self) -> list[str]:
        return sorted((i.filename for i in self.opened.infolist() if not i.is_dir()), key=copy_order)

    def read(self, name: str, size: int = -1) -> bytes:
        if size < 0 and self.opened.getinfo(name).file_size > _LARGEST_FILE:
            raise OSError(f"unpacked size exceeds {_LARGEST_FILE >> 20} MB")
        with self.opened.open(name) as opened:
            return opened.read(size)


class Archives:
    """Several archives as one.

    Parameters
    ----------
    parts
        Label -> archive; the paths in it begin with its label.
    problems
        Zip files that could not be read, with the reasons.
    """

    def __init__(self, parts: dict[str, Archive], problems: list[str]) -> None:
        self.parts, self.problems = parts, problems
        self._owner: dict[str, tuple[Archive, str]] = {}

    def names(self) -> list[str]:
        """Return the paths of all files, in the order of the archives."""
        if not self._owner:
            for label, part in self.parts.items():
                for name in part.names():
                    if not _is_hidden(name):
                        self._owner[f"{label}/{name}" if label else name] = (part, name)
        return list(self._owner)

    def read(self, name: str, size: int = -1) -> bytes:
        """Return a file's bytes, or the first ``size`` of them."""
        part, inside = self._owner[name]
        return part.read(inside, size)


@contextmanager
def open_archives(roots: Sequence[Path]) -> Iterator[Archives]:
    """Open folders and zip files as one archive; zip files are read in place, without unpacking.

    Parameters
    ----------
    roots
        Downloaded zip files, their folders, or folders with zip files in them. A zip file may contain others.

    Raises
    ------
    DatasetError
        If a root does not exist, is damaged, or has paths that point outside of it. A zip file inside a folder or another zip
        file that cannot be read is listed in ``problems`` instead.
    """
    parts: dict[str, Archive] = {}
    problems: list[str] = []
    with ExitStack() as stack:

        def add_zip(source: Path | io.BytesIO, name: str, label: str, inner: int = 2) -> None:
            opened = stack.enter_context(_open_zip(source, name))
            parts[label] = found = _Zip(opened)
            for path in found.names() if inner else []:
                if path.lower().endswith(".zip") and not _is_hidden(path):
                    within = f"{name}/{path}"
                    try:
                        add_zip(io.BytesIO(found.read(path)), within, f"{label}/{path}".strip("/"), inner - 1)
                    except (DatasetError, *UNREADABLE) as error:
                        problems.append(_named(within, error))

        roots = list(dict.fromkeys(Path(r) for r in roots))
        for k, root in enumerate(roots):
            label = "" if len(roots) == 1 else root.name
            label = f"{label} ({k + 1})" if label in parts else label
            if root.is_dir():
                parts[label] = _Folder(root)
                zips = (p for p in root.rglob("*") if p.suffix.lower() == ".zip" and p.is_file())
                for path in sorted(zips, key=lambda p: copy_order(p.as_posix())):
                    name = path.relative_to(root).as_posix()
                    try:
                        add_zip(path, str(path), f"{label}/{name}".strip("/"))
                    except (DatasetError, *UNREADABLE) as error:
                        problems.append(_named(str(path), error))
            elif root.suffix.lower() == ".stm" and root.is_file():
                parts[label] = _Folder(root.parent, root.name)
            elif root.is_file():
                add_zip(root, str(root), label)
            else:
                raise DatasetError(
                    f"{root} does not exist; expected an ISMN archive: the downloaded .zip, or its folder."
                )
        yield Archives(parts, problems)


def _open_zip(source: Path | io.BytesIO, name: str) -> zipfile.ZipFile:
    try:
        opened = zipfile.ZipFile(source)
    except UNREADABLE as error:
        raise DatasetError(
            f"{name} cannot be read as a zip file: {error}. If the download was incomplete, download it again."
        ) from error
    for entry in opened.namelist():
        path = PurePosixPath(entry.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0]:
            opened.close()
            raise DatasetError(
                f"{name}: the path {entry!r} points outside of the archive. This is not an ISMN archive; nothing was read."
            )
    return opened


def list_stations(archive: Archive, root: str) -> tuple[list[StationFiles], list[str]]:
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
    (other depths, soil temperature) is not. Files of one station are found by their names, not by their folders: two
    downloads of one station are one station.
    """
    stations: dict[str, StationFiles] = {}
    statics: dict[str, list[str]] = {}
    unrecognized = []
    names = archive.names()
    position = {path: k for k, path in enumerate(names)}
    for path in sorted(names):
        folder, _, file = path.rpartition("/")
        if file.lower().endswith(_STATIC):
            statics.setdefault(plain_name(file[: -len(_STATIC)]), []).append(path)
        if not file.lower().endswith(".stm"):
            continue
        if (found := _NAME.match(file)) is None:
            unrecognized.append(path)
            continue
        station = stations.setdefault(plain_name(found["station"]), StationFiles(folder, found["station"]))
        if found["variable"].lower() == "sm":
            station.sensors.append(
                SensorFile(
                    path,
                    found["sensor"],
                    float(found["top"]),
                    float(found["bottom"]),
                    found["end"],
                    position[path],
                )
            )
        else:
            station.other_variables += 1
    if not stations and not unrecognized:
        raise DatasetError(
            f"{root} has no ISMN data file (.stm). Expected the archive as downloaded from ismn.earth, in the layout "
            "'header+values' or 'CEOP in separate files'."
        )
    for key, station in stations.items():
        station.statics = sorted(statics.get(key, []), key=position.__getitem__)
    return list(stations.values()), unrecognized


def by_header(archive: Archive, station: StationFiles, opened: Sequence[SensorFile]) -> list[StationFiles]:
    """Return the files of the stations that the headers name; files without a header stay with the first.

    Parameters
    ----------
    opened
        Sensor files whose headers are read.
    """
    owner: dict[str, tuple[str, str]] = {}
    for sensor in opened:
        try:
            header = read_header(archive.read(sensor.path, _HEAD))
        except UNREADABLE:  # reported when the whole file is read
            continue
        if header is not None:
            station.headers[sensor.path] = header
            owner[sensor.path] = (plain_name(header.network), plain_name(header.station))
    kinds = list(dict.fromkeys(owner.values()))
    if len(kinds) < 2:
        return [station]
    return [
        StationFiles(
            station.folder, station.name, [s for s in station.sensors if owner.get(s.path, kinds[0]) == kind],
            station.statics, station.other_variables if kind == kinds[0] else 0,
            {p: h for p, h in station.headers.items() if owner[p] == kind},
        )
        for kind in kinds
    ]  # fmt: skip


def plain_name(name: str) -> str:
    """Return a name by which files of one network, station or sensor agree: ``FR-Aqui`` and ``FR_Aqui`` are one."""
    return re.sub(r"[\s_-]+", "-", name.strip()).casefold()


def _is_hidden(path: str) -> bool:
    """Return whether a file is no data: macOS adds copies called ``._NAME`` to zip files."""
    parts = path.split("/")
    return "__MACOSX" in parts or parts[-1].startswith(".")


def _named(name: str, error: Exception) -> str:
    text = str(error)
    return text if text.startswith(name) else f"{name}: {text}"
