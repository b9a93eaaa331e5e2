"""A loopback server that speaks NASA POWER's daily point API, with faults on request."""

from __future__ import annotations

import datetime as dt
from urllib.parse import parse_qs, urlsplit

from support.point_server import PointService, Reply

UNITS = {
    "T2M": "C", "T2M_MAX": "C", "T2M_MIN": "C", "RH2M": "%", "QV2M": "g/kg", "PRECTOTCORR": "mm/day", "WS2M": "m/s",
    "WS10M": "m/s", "PS": "kPa", "TS": "C", "ALLSKY_SFC_SW_DWN": "MJ/m^2/day", "ALLSKY_SFC_LW_DWN": "W/m^2",
}  # fmt: skip
SCALE = {
    "PS": 90.0, "ALLSKY_SFC_SW_DWN": 18.0, "ALLSKY_SFC_LW_DWN": 300.0, "QV2M": 8.0, "RH2M": 60.0, "PRECTOTCORR": 2.0,
}  # fmt: skip


def value(name: str, day: dt.date, lat: float, lon: float) -> float:
    """A planted value: its own for every variable and day, and for every cell of 0.5 x 0.625 degrees."""
    cell = round((lat + 90) / 0.5) * 0.01 + round((lon + 180) / 0.625) * 0.001
    return round(SCALE.get(name, 10.0) + (day.toordinal() % 400) * 0.01 + cell, 3)


class PowerService(PointService):
    """The service: ``units`` and ``standard`` can be changed, ``missing`` days have the fill value."""

    def __init__(self) -> None:
        super().__init__()
        self.units = dict(UNITS)
        self.standard: str | None = None
        self.missing: set[dt.date] = set()
        self.refused: set[float] = set()  # longitudes

    def reply(self, path: str) -> Reply:
        query = {k: v[0] for k, v in parse_qs(urlsplit(path).query).items()}
        names = query["parameters"].split(",")
        problems = [f"{n} is not a valid parameter" for n in names if n not in self.units]
        if len(names) > 20:
            problems.append("a maximum of 20 parameters can be requested")
        first, last = (dt.datetime.strptime(query[k], "%Y%m%d").date() for k in ("start", "end"))
        if first < dt.date(1981, 1, 1):
            problems.append("the start date is before 1981-01-01")
        if float(query["longitude"]) in self.refused:
            problems.append("no values at this place")
        if problems:
            return 422, {"header": "The POWER API could not complete your request", "messages": problems}
        lat, lon = float(query["latitude"]), float(query["longitude"])
        days = [first + dt.timedelta(days=k) for k in range((last - first).days + 1)]
        table = {
            n: {f"{d:%Y%m%d}": -999.0 if d in self.missing else value(n, d, lat, lon) for d in days}
            for n in names
        }
        return 200, {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [lon, lat, 1661.0]},
            "properties": {"parameter": table},
            "header": {
                "title": "NASA/POWER Source Native Resolution Daily Data",
                "api": {"version": "v2.8.0", "name": "POWER Daily API"}, "sources": ["POWER", "MERRA2"],
                "fill_value": -999.0, "time_standard": self.standard or query.get("time-standard", "LST"),
                "start": query["start"], "end": query["end"],
            },
            "messages": [],
            "parameters": {n: {"units": self.units[n], "longname": n} for n in names},
            "times": {"data": 0.1, "process": 0.01},
        }  # fmt: skip
