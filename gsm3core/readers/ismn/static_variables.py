"""Static variables of an ISMN station (CSV beside its data): land cover, climate and soil."""

from __future__ import annotations

import csv
import io

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.readers.ismn.stm_header import decode

# Peel et al. (2007), doi:10.5194/hess-11-1633-2007, table 1, in its order.
KOPPEN_GEIGER = [
    "Af", "Am", "Aw", "BWh", "BWk", "BSh", "BSk", "Csa", "Csb", "Csc", "Cwa", "Cwb", "Cwc", "Cfa", "Cfb", "Cfc",
    "Dsa", "Dsb", "Dsc", "Dsd", "Dwa", "Dwb", "Dwc", "Dwd", "Dfa", "Dfb", "Dfc", "Dfd", "ET", "EF",
]  # fmt: skip
_MAIN = {"A": 1, "B": 2, "C": 3, "D": 4, "E": 5}  # vocabulary.KOPPEN_CLASSES
# ESA CCI Land Cover, Product User Guide v2, table 3-1.
CCI_CLASSES = {
    0: "no data", 10: "cropland rainfed", 11: "cropland rainfed herbaceous", 12: "cropland rainfed tree or shrub",
    20: "cropland irrigated", 30: "mosaic mostly cropland", 40: "mosaic mostly natural",
    50: "broadleaved evergreen", 60: "broadleaved deciduous", 61: "broadleaved deciduous closed",
    62: "broadleaved deciduous open", 70: "needleleaved evergreen", 71: "needleleaved evergreen closed",
    72: "needleleaved evergreen open", 80: "needleleaved deciduous", 81: "needleleaved deciduous closed",
    82: "needleleaved deciduous open", 90: "mixed leaf", 100: "mosaic mostly tree and shrub",
    110: "mosaic mostly herbaceous", 120: "shrubland", 121: "shrubland evergreen", 122: "shrubland deciduous",
    130: "grassland", 140: "lichens and mosses", 150: "sparse vegetation", 151: "sparse tree", 152: "sparse shrub",
    153: "sparse herbaceous", 160: "flooded tree cover fresh water", 170: "flooded tree cover saline water",
    180: "flooded shrub or herbaceous", 190: "urban", 200: "bare", 201: "bare consolidated",
    202: "bare unconsolidated", 210: "water", 220: "snow and ice",
}  # fmt: skip

# quantity in the file -> canonical name, factor to canonical units, units, long name
_SOIL = {
    "sand fraction": ("sand", 0.01, "1", ""),
    "silt fraction": ("silt", 0.01, "1", ""),
    "clay fraction": ("clay", 0.01, "1", ""),
    "organic carbon": ("organic_carbon", 0.01, "1", "soil organic carbon fraction"),
    "saturation": ("saturation", 1.0, "m3 m-3", "soil moisture at saturation"),
}
_COLUMNS = (
    "quantity_name",
    "unit",
    "depth_from[m]",
    "depth_to[m]",
    "value",
    "description",
    "quantity_source_name",
)


def read_static(raw: bytes, depth: float) -> dict[str, float]:
    """Return the attributes of a station by canonical name; those that the file lacks are omitted.

    Parameters
    ----------
    raw
        Bytes of ``..._static_variables.csv``: semicolon-separated, with or without column names (older archives have
        none: ismn issue 28).
    depth
        Depth of the sensor, m. Soil properties are those of the layer at this depth, from HWSD if available, else
        measured by the network: the same source at all sites is preferred to a better one at a few.

    Notes
    -----
    Land cover is ESA CCI of the latest year in the file; climate is Koeppen-Geiger (Peel et al., 2007).
    """
    rows = [
        dict(zip(_COLUMNS, r, strict=False))
        for r in csv.reader(
            io.StringIO(decode(raw.removeprefix(b"\xef\xbb\xbf"))), delimiter=";", quoting=csv.QUOTE_NONE
        )
    ]
    rows = [r for r in rows if len(r) == len(_COLUMNS) and r["quantity_name"] != "quantity_name"]
    found: dict[str, float] = {}
    for row in sorted(rows, key=_sort_key):
        quantity, text = row["quantity_name"], row["value"].strip()
        if quantity in _SOIL and _contains_depth(row, depth):
            name, factor, _, _ = _SOIL[quantity]
            if (value := _number(text)) is not None:
                found.setdefault(name, value * factor)
        elif quantity == "land cover classification" and (value := _number(text)) in CCI_CLASSES:
            assert value is not None
            found.setdefault("land_cover_cci", value)
        elif quantity == "climate classification" and text in KOPPEN_GEIGER:
            found.setdefault("koppen_geiger", KOPPEN_GEIGER.index(text) + 1.0)
            found.setdefault("climate", float(_MAIN[text[0]]))
    return found


def as_attributes(stations: list[dict[str, float]]) -> dict[str, xr.DataArray]:
    """Return one variable ``(site)`` per attribute that any station has; missing values are NaN, or class 0."""
    legends = {
        "climate": v.KOPPEN_CLASSES,
        "koppen_geiger": dict(enumerate(["none", *KOPPEN_GEIGER])),
        "land_cover_cci": CCI_CLASSES,
    }
    long_names = {
        "koppen_geiger": "Köppen-Geiger class (Peel et al., 2007)",
        "land_cover_cci": "land cover (ESA CCI class)",
    }
    long_names |= {name: text for name, _, _, text in _SOIL.values() if text}
    units = {name: unit for name, _, unit, _ in _SOIL.values()} | {"elevation": "m"}
    arrays = {}
    for name in sorted({n for s in stations for n in s}):
        values = np.array([s.get(name, np.nan) for s in stations])
        known = v.VARIABLES.get(name)
        attrs: dict[str, object] = {
            "units": known.units if known else units.get(name, "1"),
            "long_name": known.long_name if known else long_names[name],
            "source": "ISMN static variables" if name != "elevation" else "ISMN file headers",
        }
        if name in legends:
            attrs["flag_values"] = np.array(list(legends[name]), np.int16)
            attrs["flag_meanings"] = " ".join(m.replace(" ", "_") for m in legends[name].values())
            arrays[name] = xr.DataArray(np.nan_to_num(values).astype(np.int16), dims=v.SITE, attrs=attrs)
        else:
            arrays[name] = xr.DataArray(values.astype(np.float32), dims=v.SITE, attrs=attrs)
    return arrays


def _sort_key(row: dict[str, str]) -> tuple[int, str]:
    """Return the sort key: HWSD before in situ, later land-cover years before earlier ones."""
    source = row["quantity_source_name"].lower()
    year = "".join(c for c in source if c.isdigit()) if "landcover" in source else ""
    return ("insitu" in source, "".join(chr(255 - ord(c)) for c in year))


def _contains_depth(row: dict[str, str], depth: float) -> bool:
    top, bottom = _number(row["depth_from[m]"]), _number(row["depth_to[m]"])
    return top is not None and bottom is not None and top <= depth <= bottom


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) and value > -90 else None
