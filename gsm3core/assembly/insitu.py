"""Build in-situ SiteDatasets from ISMN archives, daily files of USCRN, and hourly values of SCAN and SNOTEL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.assembly.site_checks import check_sites
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.files import checksum_of, fingerprint
from gsm3core.geography.site_coordinates import describe_coordinates
from gsm3core.readers.awdb import read_awdb
from gsm3core.readers.awdb_stations import AWDB
from gsm3core.readers.ismn.reader import Progress, read_ismn
from gsm3core.readers.ismn.sensor_choice import SensorChoice
from gsm3core.readers.uscrn_daily import FILE_NAME, STATION_TABLE, read_uscrn_daily
from gsm3core.schema import check_dataset

ISMN = "ismn"
USCRN = "uscrn-daily"
NETWORKS = (ISMN, USCRN, *AWDB)


def build_insitu(
    name: str,
    source: Path | Sequence[Path],
    *,
    period: Period | None = None,
    choice: SensorChoice | None = None,
    pulled: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Build a SiteDataset from an in-situ source.

    Parameters
    ----------
    name
        ``ismn``, ``uscrn-daily``, ``scan`` or ``snotel``.
    source
        An ISMN archive (zip or folder), a folder of USCRN daily files, or one that ``gsm3 data pull scan`` has filled. Of
        ISMN and USCRN also several: they are read as one.
    period
        Days to keep.
    choice
        Which sensors of ISMN, SCAN and SNOTEL; see :class:`gsm3core.readers.ismn.sensor_choice.SensorChoice`.
    pulled
        History step of the download, if any.
    progress
        Called with the stations read and their number.

    Returns
    -------
    xarray.Dataset
        Valid SiteDataset. ISMN has no forcings: join it with sources that do.
    pandas.DataFrame
        One row per station, used or refused, with the reason; see :func:`write_station_table`.

    Raises
    ------
    DatasetError
        If the source cannot be read or has no usable record.
    """
    entry, roots = source_entry(name), source_paths(source)
    label = " + ".join(r.name for r in roots)
    if name == ISMN:
        ds, table = read_ismn(roots, period, choice, progress)
        checksum = _fingerprints(roots)
    elif name == USCRN:
        for root in roots:
            if not root.is_dir():
                raise DatasetError(
                    f"{root} is not a folder; expected a folder of files like {entry.example}."
                )
        ds, table = read_uscrn_daily(roots, period)
        # Not over the whole folder: its manifest has the time of the download.
        checksum = checksum_of(
            p
            for root in roots
            for p in root.rglob("*")
            if p.is_file() and (FILE_NAME.match(p.name) or p.name == STATION_TABLE)
        )
    elif name in AWDB:
        if len(roots) > 1:
            raise DatasetError(
                f"{name} is read from one folder, but {len(roots)} are given: {label}. Pull into one folder."
            )
        (root,) = roots
        if not root.is_dir():
            raise DatasetError(
                f"{root} is not a folder; expected the folder that `gsm3 data pull {name}` has filled."
            )
        ds, table = read_awdb(root, name, period, choice, progress)
        checksum = checksum_of(p for p in root.rglob("*.json") if p.is_file())
    else:
        raise DatasetError(f"unknown in-situ source {name!r}. Known: {', '.join(NETWORKS)}.")
    steps = json.loads(ds.attrs.pop("steps"))
    table, notes = check_sites(ds, table)
    if notes:
        steps[-1]["notes"] = [*steps[-1].get("notes", []), *notes]
    step = {"step": "build", "entry": name, "file": label, "sha256": checksum}
    if period:
        step["period"] = f"{period.start} to {period.end}"
    ds = describe_coordinates(ds.transpose(v.SITE, v.TIME))
    ds.attrs = {
        "Conventions": "CF-1.11",
        "featureType": "timeSeries",
        "title": entry.title,
        "source": entry.provider,
        "license": entry.license,
        "references": f"{entry.citation} doi:{entry.doi}" if entry.doi else entry.citation,
        "history": json.dumps([*([pulled] if pulled else []), step, *steps]),
    }
    check_dataset(ds, name=f"{name} from {label}")
    return ds, table


def source_paths(source: Path | str | Sequence[Path]) -> list[Path]:
    """Return one or several paths as a list, each once."""
    return list(dict.fromkeys(map(Path, [source] if isinstance(source, (str, Path)) else source)))


def notes_of(ds: xr.Dataset) -> list[str]:
    """Return the notes in a dataset's history, for the summary of a build."""
    steps = json.loads(ds.attrs.get("history", "[]"))
    return [note for step in steps for note in step.get("notes", [])]


def _fingerprints(roots: Sequence[Path]) -> str:
    """Return one SHA-256 over archives, independent of their order."""
    if len(roots) == 1:
        return fingerprint(roots[0])
    return hashlib.sha256("\n".join(sorted(map(fingerprint, roots))).encode()).hexdigest()


def write_station_table(table: pd.DataFrame, dataset: Path) -> Path:
    """Write the table of stations beside a dataset (``x.zarr`` -> ``x.stations.csv``) and return its path.

    It is a separate file because the notes on 1,300 stations exceed the attributes of an HDF5 file (64 KB).
    """
    path = dataset.with_name(f"{dataset.stem}.stations.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    table.to_csv(part, index=False)
    part.replace(path)
    return path
