"""Daily in-situ surface soil moisture from ISMN archives, with a table of stations used and refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.geography.places import place_suffix
from gsm3core.readers.ismn.archive import (
    Archives,
    StationFiles,
    by_header,
    list_stations,
    open_archives,
    plain_name,
)
from gsm3core.readers.ismn.sensor_choice import SensorChoice
from gsm3core.readers.ismn.static_variables import as_attributes
from gsm3core.readers.ismn.station import Station, read_station
from gsm3core.readers.ismn.summary import summary_notes
from gsm3core.readers.step_counts import StepCounts

Progress = Callable[[int, int], None]


class IsmnReader:
    """Reads an ISMN archive (zip or folder, header+values or CEOP)."""

    def __init__(self, choice: SensorChoice | None = None) -> None:
        self.choice = choice or SensorChoice()

    def open(self, root: Path, period: Period | None = None) -> xr.Dataset:
        """Return the stations with at least one day as sites; see :func:`read_ismn`."""
        return read_ismn(Path(root), period, self.choice)[0]


def read_ismn(
    root: Path | Sequence[Path],
    period: Period | None = None,
    choice: SensorChoice | None = None,
    progress: Progress | None = None,
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Read one or several ISMN archives as one.

    Parameters
    ----------
    root
        The downloaded ``.zip``, its folder, a folder with zip files in it, or several of these. Nothing is unpacked or
        written. One network, station, depth and sensor is one record, whatever files it lies in.
    period
        Days to keep.
    choice
        Sensors, flags and hours per day.
    progress
        Called with the stations read and their number.

    Returns
    -------
    xarray.Dataset
        ``sm_insitu`` (site, time), static attributes (site), coordinates; ``attrs["steps"]`` is a JSON list for the
        dataset's history, with ``notes`` for the summary.
    pandas.DataFrame
        One row per station of the archive: used or refused, sensors, counts, and a note with the reasons.

    Raises
    ------
    DatasetError
        If the archive cannot be read, or no station has a day; the message counts the reasons.

    Notes
    -----
    Dorigo et al. (2021), doi:10.5194/hess-25-5749-2021. The ``ismn`` package (1.5.4) is the reference in the tests. It
    is not used here: it opens every file of an archive twice, deep sensors too, writes a cache, depends on 14 packages
    with a second netCDF library, and takes twice the time for one depth per station.
    """
    choice, stations = choice or SensorChoice(), list[Station]()
    roots = [root] if isinstance(root, (str, Path)) else list(root)
    label = ", ".join(str(r) for r in roots)
    with open_archives(roots) as archive:
        try:
            found, unrecognized = list_stations(archive, label)
        except DatasetError as error:
            raise DatasetError("\n  - ".join([str(error), *archive.problems])) from error
        identified = _identify(archive, found, choice)
        for k, files in enumerate(identified):
            stations += read_station(archive, files, choice, period)
            if progress:
                progress(k + 1, len(identified))
        problems = list(archive.problems)
    _make_names_unique(stations)
    table = pd.DataFrame([s.row() for s in stations])
    used = [s for s in stations if s.used]
    if not used:
        reasons = Counter(s.notes[-1] for s in stations if s.notes).most_common(5)
        listed = "\n".join(f"  - {count} station(s): {reason}" for reason, count in reasons)
        raise DatasetError(
            f"{label}: none of {len(stations)} station(s) can be used"
            + (f" ({len(unrecognized)} file names do not follow ISMN's pattern)" if unrecognized else "")
            + (f":\n{listed}" if listed else ".")
            + "".join(f"\n  - not read: {p}" for p in problems)
        )
    ds = _dataset(used, choice)
    rows = StepCounts.total(s.counts for s in stations)
    step = {
        "step": "read ismn",
        "sensors": choice.rule,
        "flags": list(choice.flags),
        "min_hours": choice.min_hours,
        "stations_read": len(stations),
        "stations_used": len(used),
        "unrecognized_files": len(unrecognized),
        **rows.as_step("rows"),
        "notes": summary_notes(stations, choice, problems, unrecognized),
    }
    ds.attrs["steps"] = json.dumps([step])
    return ds, table


def _identify(archive: Archives, found: list[StationFiles], choice: SensorChoice) -> list[StationFiles]:
    """Return the files by network and station as the headers name them; without a header, the file names."""
    stations: dict[tuple[str, ...], StationFiles] = {}
    for files in found:
        for part in by_header(archive, files, [s for s in files.sensors if choice.accepts(s)]):
            header = next(iter(part.headers.values()), None)
            key = (
                (plain_name(header.network), plain_name(header.station))
                if header
                else (plain_name(part.name),)
            )
            if (known := stations.setdefault(key, part)) is not part:
                known.sensors += part.sensors
                known.statics = list(dict.fromkeys([*known.statics, *part.statics]))
                known.other_variables += part.other_variables
                known.headers |= part.headers
    return list(stations.values())


def _make_names_unique(stations: list[Station]) -> None:
    """Add coordinates to site names that would be equal, such as those of networks A_B and A with stations C and B_C."""
    count = Counter(s.site for s in stations if s.used)
    for station in stations:
        if station.used and station.header and count[station.site] > 1 and not station.suffix:
            station.suffix = place_suffix(station.header.lat, station.header.lon)
            station.notes.insert(0, "another station has this name")


def _dataset(stations: list[Station], choice: SensorChoice) -> xr.Dataset:
    series = [s.series for s in stations if s.series is not None]
    first, last = min(int(s.day[0]) for s in series), max(int(s.day[-1]) for s in series)
    values = np.full((len(stations), last - first + 1), np.nan, np.float32)
    for row, one in zip(values, series, strict=True):
        row[one.day - first] = one.value
    headers = [s.header for s in stations if s.header is not None]
    known = v.VARIABLES[v.SM_INSITU]
    source = f"ISMN, daily mean of at least {choice.min_hours} hours with flag {', '.join(choice.flags)}"
    attrs = {
        "units": known.units,
        "long_name": known.long_name,
        "standard_name": known.standard_name,
        "source": source,
    }
    ds = xr.Dataset(
        {v.SM_INSITU: ((v.SITE, v.TIME), values, attrs)},
        coords={
            v.SITE: np.array([s.site for s in stations]),
            v.TIME: pd.date_range(np.datetime64(first, "D"), periods=last - first + 1, unit="ns"),
            v.LAT: (v.SITE, np.array([h.lat for h in headers])),
            v.LON: (v.SITE, np.array([h.lon for h in headers])),
            v.NETWORK: (v.SITE, np.array([h.network for h in headers])),
            v.STATION: (v.SITE, np.array([h.station for h in headers])),
            v.DEPTH: (v.SITE, np.array([s.used[0].depth for s in stations]), {"units": "m", "long_name": "sensor depth"}),
        },
    )  # fmt: skip
    return ds.assign(as_attributes([s.static for s in stations]))
