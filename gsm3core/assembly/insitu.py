"""Build in-situ SiteDatasets from ISMN archives and the daily files of USCRN."""

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
    entry, source = source_entry(name), Path(source)
    if name == ISMN:
        ds, table = read_ismn(source, period, choice, progress)
        checksum = fingerprint(source)
    elif name == USCRN:
        if not source.is_dir():
            raise DatasetError(f"{source} is not a folder; expected a folder of files like {entry.example}.")
        ds, table = read_uscrn_daily(source, period)
        # Not over the whole folder: its manifest has the time of the download.
        checksum = checksum_of(
            p
            for p in source.rglob("*")
            if p.is_file() and (FILE_NAME.match(p.name) or p.name == STATION_TABLE)
        )
    else:
        raise DatasetError(f"unknown in-situ source {name!r}. Known: {', '.join(NETWORKS)}.")
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

    It is a separate file because the notes on 1,300 stations exceed the attributes of an HDF5 file (64 KB).
    """
    path = dataset.with_name(f"{dataset.stem}.stations.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    table.to_csv(part, index=False)
    part.replace(path)
    return path
