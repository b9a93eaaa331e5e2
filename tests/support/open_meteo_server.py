"""A loopback server that speaks Open-Meteo's archive API in JSON, with faults on request."""

from __future__ import annotations

import datetime as dt
from urllib.parse import parse_qs, urlsplit

from support.point_server import PointService, Reply

UNITS = {
    "temperature_2m": "°C", "relative_humidity_2m": "%", "precipitation": "mm", "shortwave_radiation": "W/m²",
    "wind_speed_10m": "m/s", "surface_pressure": "hPa", "soil_temperature_0_to_7cm": "°C",
    "soil_moisture_0_to_7cm": "m³/m³", "snow_depth": "m",
}  # fmt: skip
_SIZES = {"era5": 0.25, "era5_land": 0.1}


def hourly(name: str, hour: dt.datetime, lat: float, lon: float) -> float:
    """A planted value at the hour that the label names."""
    cell = round((lat + 90) * 4) * 0.01 + round((lon + 180) * 4) * 0.001
    if name == "precipitation":
        # Rain in one hour of a day: the one that ends at 0 h of the next day.
        return round(1.0 + cell, 3) if hour.hour == 0 else 0.0
    if name == "shortwave_radiation":
        return 100.0 * max(0, 12 - abs(hour.hour - 12))
    if name == "soil_moisture_0_to_7cm":
        return round(0.2 + 0.001 * hour.hour, 3)
    if name == "surface_pressure":
        return 850.0 + hour.hour
    return round(10.0 + hour.hour + (hour.toordinal() % 50) * 0.1 + cell, 3)


class OpenMeteoService(PointService):
    """The service: answers at the centre of the nearest cell of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.units = dict(UNITS)
        self.offset = 0
        self.moved = 0.0

    def reply(self, path: str) -> Reply:
        query = {k: v[0] for k, v in parse_qs(urlsplit(path).query).items()}
        first, last = (dt.date.fromisoformat(query[k]) for k in ("start_date", "end_date"))
        today = dt.datetime.now(dt.UTC).date()
        if last > today:
            reason = f"Parameter 'end_date' is out of allowed range from 1940-01-01 to {today}"
            return 400, {"error": True, "reason": reason}
        names = query["hourly"].split(",")
        if unknown := [n for n in names if n not in self.units]:
            reason = f"Data corrupted at path ''. Cannot initialize from invalid String value {unknown[0]}."
            return 400, {"error": True, "reason": reason}
        size = _SIZES[query["models"]]
        lat, lon = (round(round(float(query[k]) / size) * size, 4) for k in ("latitude", "longitude"))
        hours = [
            dt.datetime.combine(first, dt.time()) + dt.timedelta(hours=h)
            for h in range(24 * ((last - first).days + 1))
        ]
        return 200, {
            "latitude": lat + self.moved, "longitude": lon, "generationtime_ms": 1.0,
            "utc_offset_seconds": self.offset, "timezone": "GMT", "timezone_abbreviation": "GMT", "elevation": 1661.0,
            "hourly_units": {"time": "iso8601", **{n: self.units[n] for n in names}},
            "hourly": {
                "time": [f"{h:%Y-%m-%dT%H:%M}" for h in hours],
                **{n: [None if n == "snow_depth" else hourly(n, h, lat, lon) for h in hours] for n in names},
            },
        }  # fmt: skip
