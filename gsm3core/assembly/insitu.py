"""In-situ SiteDatasets from the networks' own files: ISMN archives and the daily files of USCRN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.files import checksum_of, fingerprint
from gsm3core.geography.site_coordinates import describe_coordinates
from gsm3core.readers.ismn.reader import Progress, read_ismn
from gsm3core.readers.ismn.sensor_choice import SensorChoice
from gsm3core.readers.uscrn_daily import FILE_NAME, STATION_TABLE, read_uscrn_daily
from gsm3core.schema import check_dataset

ISMN = "ismn"
USCRN = "uscrn-daily"
NETWORKS = (ISMN, USCRN)


def build_insitu(
    name: str,
    source: Path,
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
        ``ismn`` or ``uscrn-daily``.
    source
        An ISMN archive (zip or folder), or a folder of USCRN daily files.
    period
        Days to keep.
    choice
        Which ISMN sensors; see :class:`gsm3core.readers.ismn.sensor_choice.SensorChoice`.
    pulled
        The history step of the download, if there was one.
    progress
        Told of the stations read.

    Returns
    -------
    xarray.Dataset
        Checked. ISMN has no forcings: join it with sources that have.
    pandas.DataFrame
        One row per station, used or refused, with the reason; :func:`write_station_table` puts it beside the dataset.

    Raises
    ------
    DatasetError
        If the source cannot be read, or nothing of it can be used.
    """
    entry, source = source_entry(name), Path(source)
    if name == ISMN:
        ds, table = read_ismn(source, period, choice, progress)
        checksum = fingerprint(source)
    elif name == USCRN:
        if not source.is_dir():
            raise DatasetError(f"{source} is not a folder; expected one with files like {entry.example}.")
        ds, table = read_uscrn_daily(source, period)
        # Not of the whole folder: its manifest tells the time of the download.
        checksum = checksum_of(
            p
            for p in source.rglob("*")
            if p.is_file() and (FILE_NAME.match(p.name) or p.name == STATION_TABLE)
        )
    else:
        raise DatasetError(f"{name!r} is not an in-situ source. Known: {', '.join(NETWORKS)}.")
    steps = json.loads(ds.attrs.pop("steps"))
    step = {"step": "build", "entry": name, "file": source.name, "sha256": checksum}
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
    check_dataset(ds, name=f"{name} from {source}")
    return ds, table


def write_station_table(table: pd.DataFrame, dataset: Path) -> Path:
    """Write the table of stations beside a dataset (``x.zarr`` -> ``x.stations.csv``) and return its path.

    It is a file of its own because 1,300 sentences do not fit the attributes of an HDF5 file (64 KB).
    """
    path = dataset.with_name(f"{dataset.stem}.stations.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    table.to_csv(beside, index=False)
    beside.replace(path)
    return path
