"""Station and sensor in the first line of an ISMN data file (.stm), of either text layout."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

_DECIMAL = r"[-+]?\d+\.\d+|[nN][aA][nN]"
_NUMBER = r"[-+]?\d+(?:\.\d*)?|[nN][aA][nN]"
_START = r"^(?P<cse>\S+)\s+(?P<network>\S+)\s+(?P<station>\S.*?)"
_DEPTHS = rf"\s+(?P<top>{_NUMBER})\s+(?P<bottom>{_NUMBER})\s+(?P<rest>{{rest}})\s*$"
_MISSING_TEXT = "NULL|None|N/A|NA|-+"
# The first that fits: decimal coordinates, which the number at the end of a station's name is not; no elevation; integers.
_LAYOUTS = tuple(
    rf"{_START}\s+(?P<lat>{n})\s+(?P<lon>{n}){elevation}{_DEPTHS}"
    for n in (_DECIMAL, _NUMBER)
    for elevation in (rf"\s+(?P<elevation>{_NUMBER}|{_MISSING_TEXT})", "")
)
_HEADER = tuple(re.compile(t.replace("{rest}", r"\S.*?")) for t in _LAYOUTS)
# Value, ISMN flag and provider flag follow the depths.
_CEOP = tuple(re.compile(t.replace("{rest}", r"\S+\s+\S+\s+\S+")) for t in _LAYOUTS)
_CEOP_DATES = re.compile(r"^(?:\d{4}/\d\d/\d\d\s+\d\d:\d\d\s+){2}(?=\D|\S+\s+\S+\s)")
_LOWEST, _HIGHEST = -500.0, 9000.0  # m, the range of land


@dataclass(frozen=True, slots=True)
class Header:
    """Station and sensor of an .stm file (degrees, metres).

    Parameters
    ----------
    elevation
        NaN if the file has none, or a missing-value code such as -9999.
    elevation_text
        As in the file.
    decimals
        Of the coordinates, without trailing zeros.
    """

    network: str
    station: str
    lat: float
    lon: float
    elevation: float
    top: float
    bottom: float
    elevation_text: str = ""
    decimals: int = 0

    @property
    def located(self) -> bool:
        """Whether the coordinates are possible; 0, 0 is a missing-value code."""
        return abs(self.lat) <= 90 and abs(self.lon) <= 180 and (self.lat, self.lon) != (0, 0)


def read_header(raw: bytes) -> Header | None:
    """Return the station and sensor of a file from its first bytes; nothing if it has neither layout."""
    found, _ = match_header(clean(raw).partition(b"\n")[0])
    return found


def clean(raw: bytes) -> bytes:
    """Return the text with one kind of line end, without a byte-order mark."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raw = raw.decode("utf-16", "replace").encode()
    return raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip()


def match_header(first: bytes) -> tuple[Header | None, bool]:
    """Return what a first line says, and whether the layout is CEOP."""
    line = decode(first)
    dates = _CEOP_DATES.match(line)
    rest = line[dates.end() :] if dates else line
    found = next((m for pattern in (_CEOP if dates else _HEADER) if (m := pattern.match(rest))), None)
    if found is None:
        return None, False
    text = found.groupdict().get("elevation") or ""
    elevation = _number(text)
    decimals = max(len(found[k].partition(".")[2].rstrip("0")) for k in ("lat", "lon"))
    header = Header(
        found["network"], found["station"], float(found["lat"]), float(found["lon"]),
        elevation if _LOWEST <= elevation <= _HIGHEST else np.nan, float(found["top"]), float(found["bottom"]), text,
        decimals,
    )  # fmt: skip
    return header, bool(dates)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def decode(raw: bytes) -> str:
    """Return UTF-8 text, or Latin-1 as in older archives."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
