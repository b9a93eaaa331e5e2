"""``gsm3 data pull smap --at``: SMAP granules reduced to some sites as they are downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.download.accounts import search_smap
from gsm3core.download.manifest import Manifest, only_download
from gsm3core.errors import DatasetError
from gsm3core.files import sha256
from gsm3core.readers.granules import matching_files
from gsm3core.readers.kept_cells import kept_cells, reduce_granule, site_cells
from gsm3core.readers.points import Points

_WHOLE = ".granules"  # folder of whole granules while they are needed
_GRID = "M09"
_MOST_FAILURES = 5  # one after the other: the service or the connection is down
_SHOWN = 5


@dataclass(slots=True)
class SmapPull:
    """Files by outcome: ``new`` were downloaded in this call, ``kept`` were complete before."""

    new: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    bytes: int = 0  # of the reduced files

    @property
    def files(self) -> list[Path]:
        """All files."""
        return sorted([*self.new, *self.kept])


def pull_smap_at(
    points: Points,
    period: Period,
    folder: Path,
    *,
    keep: bool = False,
    jobs: int = 2,
    emit: Callable[[str], None] = lambda text: None,
    on_progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> SmapPull:
    """Download SMAP enhanced L3 granules a few at a time, and keep of each only the cells around some sites.

    Parameters
    ----------
    points
        The sites. Granules that an earlier call reduced to other sites are downloaded again, for the sites of both.
    folder
        Of the source; reduced granules have the producer's names and are read as whole ones are.
    keep
        Keep the whole granules instead of reducing them.
    jobs
        Granules on the disk, and downloads, at a time.
    emit
        Called with messages.
    on_progress
        Called with granules done, granules in total and a name; to cancel, it raises.

    Returns
    -------
    SmapPull
        A rerun after a kill downloads only what is missing.

    Raises
    ------
    DatasetError
        Without the package or an Earthdata account, or if granules could not be downloaded; these are named, the
        others are kept.

    Notes
    -----
    A granule is global and has some hundred megabytes, a reduced one some kilobytes per region. The service's own
    subsetting is not used because the reader needs the global shape, and reading granules remotely
    (``earthaccess.open``) is not, because HDF5 files of this kind need many small requests outside NASA's cloud.
    """
    with only_download(Path(folder)):
        return _pull(points, period, Path(folder), keep, jobs, emit, on_progress)


def _pull(
    points: Points,
    period: Period,
    folder: Path,
    keep: bool,
    jobs: int,
    emit: Callable[[str], None],
    on_progress: Callable[[int, int, str], None],
) -> SmapPull:
    temporary = folder / _WHOLE
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed call
    earthaccess, granules = search_smap(period, emit=emit)
    by_name = {name: g for g in granules if (name := _file_name(g))}
    if not by_name:
        raise DatasetError("the granules that Earthdata lists have no links to HDF5 files of SPL3SMP_E.")
    present = {p.name: p for p in matching_files(source_entry("smap-l3e"), folder)} if folder.is_dir() else {}
    done, failed, pulled, row = 0, dict[str, str](), SmapPull(), 0
    todo = []
    for name in sorted(by_name):
        if name in present and _complete(present[name], points, keep):
            pulled.kept.append(present[name])
        else:
            todo.append(name)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(folder)
    try:
        for batch in (todo[k : k + jobs] for k in range(0, len(todo), jobs)):
            for name, path in _download(earthaccess, [by_name[n] for n in batch], batch, temporary, jobs):
                target = present.get(name, folder / name)
                try:
                    if isinstance(path, str):
                        raise DatasetError(path)
                    _store(path, target, points, keep, manifest)
                    pulled.new.append(target)
                    pulled.bytes += target.stat().st_size
                    row = 0
                except DatasetError as error:
                    failed[name] = str(error)
                    row += 1
                done += 1
                on_progress(len(pulled.kept) + done, len(by_name), name)
            shutil.rmtree(temporary, ignore_errors=True)
            if row >= _MOST_FAILURES:
                break
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if failed:
        shown = "\n".join(f"  - {name}: {failed[name]}" for name in sorted(failed)[:_SHOWN])
        stopped = f" Stopped after {row} failures one after the other." if row >= _MOST_FAILURES else ""
        raise DatasetError(
            f"{len(failed)} of {len(todo)} granules could not be downloaded; the {len(pulled.files)} others are kept.{stopped} "
            f"Rerun the command to try again:\n{shown}" + ("\n  ..." if len(failed) > _SHOWN else "")
        )
    return pulled


def _file_name(granule: Any) -> str:
    """Return the name of a granule's HDF5 file, empty if it has none."""
    names = [unquote(urlsplit(link).path).rsplit("/", 1)[-1] for link in granule.data_links()]
    return next((n for n in names if n.endswith(".h5") and "/" not in n), "")


def _complete(path: Path, points: Points, keep: bool) -> bool:
    """Return whether a file has the cells of all sites; damaged ones are not complete."""
    try:
        kept = kept_cells(path)
    except DatasetError:
        return False
    if kept is None:
        return True
    return not keep and set(site_cells(points.lat, points.lon, _GRID)) <= set(kept)


def _download(
    earthaccess: Any, granules: list[Any], names: list[str], folder: Path, jobs: int
) -> Iterable[tuple[str, Path | str]]:
    """Return the path of each granule, or why it could not be downloaded."""
    folder.mkdir(parents=True, exist_ok=True)
    problem = ""
    try:
        earthaccess.download(granules, str(folder), threads=jobs)
    except Exception as error:  # noqa: BLE001 (the package raises errors of many libraries)
        problem = f"{type(error).__name__}: {error}"
    for name, granule in zip(names, granules, strict=True):
        if problem and len(granules) > 1 and not (folder / name).is_file():
            problem = ""
            try:
                earthaccess.download([granule], str(folder), threads=1)
            except Exception as error:  # noqa: BLE001
                problem = f"{type(error).__name__}: {error}"
                yield name, problem
                continue
        path = folder / name
        yield name, path if path.is_file() else problem or "the service delivered no file of this name"


def _store(path: Path, target: Path, points: Points, keep: bool, manifest: Manifest) -> None:
    """Move or reduce a whole granule into the source's folder."""
    whole = sha256(path)
    entry: dict[str, Any] = {"granule": path.name, "granule_sha256": whole}
    if keep:
        path.replace(target)
    else:
        also = _cells_before(target)
        part = target.with_name(target.name + ".part")
        try:
            reduce_granule(path, part, points.lat, points.lon, also=also)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
    manifest.add(
        target.name, entry | {"sha256": whole if keep else sha256(target), "bytes": target.stat().st_size}
    )


def _cells_before(target: Path) -> Any:
    try:
        kept = kept_cells(target) if target.is_file() else None
    except DatasetError:
        return ()
    return () if kept is None else kept
