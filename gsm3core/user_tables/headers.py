"""Column names of user tables: other spellings of the expected names, and units in the header."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from gsm3core.errors import DatasetError

# In order of preference; compared in lower case with blanks for _ and -.
ALIASES: dict[str, tuple[str, ...]] = {
    "site": ("site", "site id", "siteid", "site name", "sitename", "site code", "site no", "station id", "stationid",
             "station code", "location id", "location", "plot", "point id", "point", "id", "code", "name"),
    "time": ("time", "datetime", "date time", "timestamp", "time stamp", "date", "day", "observation time",
             "observation date", "obs date", "sampling date"),
    "value": ("value", "values", "soil moisture", "soilmoisture", "volumetric soil moisture", "volumetric water content",
              "soil water content", "sm", "ssm", "vwc", "swc", "vswc", "theta", "sm insitu", "sm value"),
    "units": ("units", "unit"),
    "lat": ("lat", "latitude", "decimallatitude", "decimal latitude", "lat dd", "lat wgs84", "y"),
    "lon": ("lon", "longitude", "decimallongitude", "decimal longitude", "long", "lng", "lon dd", "lon wgs84", "x"),
    "depth": ("depth", "sensor depth", "depth below surface", "measurement depth"),
    "station": ("station", "station name", "stationname"),
    "network": ("network", "network name"),
}  # fmt: skip
_BRACKETS = re.compile(r"^(?P<name>.*?)\s*[\(\[](?P<unit>[^\(\)\[\]]*)[\)\]]$")
_SUFFIX = re.compile(
    r"^(?P<name>.*\S)[\s_-](?P<unit>cm|mm|m|deg|degrees|dd|utc|gmt|local|lst|percent|pct|%)$", re.IGNORECASE
)
_LOCAL = re.compile(r"^local[\s_-]?(?P<name>time|date|datetime|timestamp)$", re.IGNORECASE)
_UTC = ("", "utc", "gmt", "z", "iso", "iso 8601", "iso8601", "utc+0", "utc+00:00")


@dataclass(slots=True)
class Header:
    """Columns of a table by their expected names.

    Parameters
    ----------
    names
        Expected name of each column; the name in lower case for a column that is not recognised.
    units
        Unit in the header, by expected name: ``cm`` of ``depth [cm]``.
    notes
        Columns that were read under another name.
    """

    names: list[str]
    units: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_header(columns: Iterable[str], file: str) -> Header:
    """Return the columns of a table by their expected names.

    Raises
    ------
    DatasetError
        If two columns may be the values or the coordinates.
    """
    given = [str(c).strip().strip('"').strip() for c in columns]
    parts = [_split(c) for c in given]
    plain = [re.sub(r"[\s_-]+", " ", name.lower()).strip() for name, _ in parts]
    header = Header([c.lower() for c in given])
    assigned: set[int] = set()
    for ours, known in ALIASES.items():
        exact = [k for k, c in enumerate(header.names) if c == ours and k not in assigned]
        found = exact or sorted(
            (
                k
                for k, c in enumerate(plain)
                if c in known and k not in assigned and header.names[k] not in ALIASES
            ),
            key=lambda k: known.index(plain[k]),
        )
        if ours == "site" and not found:
            found = [k for k, c in enumerate(plain) if c in ALIASES["station"]]
        if not found:
            continue
        if len(found) > 1 and ours not in ("site", "time", "station") and not exact:
            raise DatasetError(
                f"{file}: several columns may be {ours!r}: {', '.join(given[k] for k in found)}. Name one of them {ours!r}."
            )
        k = found[0]
        assigned.add(k)
        if header.names[k] != ours:
            header.notes.append(f"column {given[k]!r} read as {ours}")
        header.names[k] = ours
        if parts[k][1]:
            header.units[ours] = parts[k][1].strip()
    return header


def date_order(unit: str, column: str, file: str) -> str:
    """Return ``day`` or ``month``, whichever a header such as ``time (dd/mm/yyyy)`` puts first, or an empty text.

    Raises
    ------
    DatasetError
        If the header states a time zone other than UTC.
    """
    plain = unit.lower().strip()
    if re.fullmatch(r"[dmyhs:/.\-\s tz]+", plain) and "y" in plain:
        return "day" if plain.startswith("d") else "month" if plain.startswith("m") else ""
    if plain not in _UTC:
        raise DatasetError(
            f"{file}: the header of {column!r} states {unit!r}; expected times in UTC. Write the offset from UTC in every row, "
            "as 2015-05-01T06:00+02:00, or convert the times to UTC, and name the column 'time'."
        )
    return ""


def _split(column: str) -> tuple[str, str]:
    """Return name and unit of a column such as ``depth [cm]``, ``depth_cm`` or ``local time``."""
    for pattern in (_BRACKETS, _SUFFIX):
        if found := pattern.match(column):
            return found["name"], found["unit"]
    if found := _LOCAL.match(column):
        return found["name"], "local"
    return column, ""
