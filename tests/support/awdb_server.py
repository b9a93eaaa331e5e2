"""A loopback server that answers like USDA's AWDB service: /stations and /data with planted hourly values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from support.uscrn_server import Site, serve

PATH = "/awdbRestApi/services/v1"


def planted(utc: np.datetime64) -> float:
    """Percent of one UTC hour, the same in all hours of a UTC day."""
    return 10.0 + float(utc.astype("datetime64[D]").astype(int) % 7)


@dataclass
class Probe:
    """A sensor; ``value`` gives the percent of an hour (UTC) or None, ``flag`` its quality flag."""

    depth: float = -2
    ordinal: int = 1
    begin: str = "2020-01-01 00:00"
    end: str = "2020-01-20 23:00"
    units: str = "pct"
    value: Callable[[np.datetime64], Any] = planted
    flag: Callable[[np.datetime64], str] = lambda utc: "V"

    @property
    def about(self) -> dict[str, Any]:
        return {
            "elementCode": "SMS", "ordinal": self.ordinal, "heightDepth": self.depth, "durationName": "HOURLY",
            "dataPrecision": 1, "storedUnitCode": self.units, "originalUnitCode": self.units, "beginDate": self.begin,
            "endDate": self.end, "derivedData": False,
        }  # fmt: skip

    def values(self, first: np.datetime64, last: np.datetime64, offset: int) -> list[dict[str, Any]]:
        """Rows from local hour to local hour, both included."""
        begin = max(first, np.datetime64(self.begin.replace(" ", "T"), "h"))
        end = min(last, np.datetime64(self.end.replace(" ", "T"), "h"))
        rows = []
        for local in np.arange(begin, end + 1, dtype="datetime64[h]"):
            utc = local - np.timedelta64(offset, "h")
            if (value := self.value(utc)) is not None:
                date = str(local.astype("datetime64[m]")).replace("T", " ")
                rows.append({"date": date, "value": value, "qcFlag": self.flag(utc), "qaFlag": "P"})
        return rows


@dataclass
class Post:
    """A station."""

    triplet: str
    name: str
    lat: float
    lon: float
    feet: float | None = 1000.0
    offset: int | None = -6
    probes: list[Probe] = field(default_factory=lambda: [Probe()])

    @property
    def about(self) -> dict[str, Any]:
        number, state, network = self.triplet.split(":")
        return {
            "stationTriplet": self.triplet, "stationId": number, "stateCode": state, "networkCode": network,
            "name": self.name, "countyName": "X", "huc": "010203040506", "elevation": self.feet, "latitude": self.lat,
            "longitude": self.lon, "dataTimeZone": self.offset, "operator": "NRCS", "beginDate": "1995-01-01 00:00",
            "endDate": "2100-01-01 00:00", "stationElements": [p.about for p in self.probes],
        }  # fmt: skip


class _Answers(dict):  # type: ignore[type-arg]
    """Answers of the service by the path of a request."""

    def __init__(self, posts: list[Post]) -> None:
        super().__init__()
        self.posts = posts

    def get(self, path: str, default: Any = None) -> Any:
        parts = urlsplit(path)
        query = {k: unquote(x[0]) for k, x in parse_qs(parts.query).items()}
        if parts.path == f"{PATH}/stations":
            return json.dumps([p.about for p in self.posts]).encode()
        if parts.path != f"{PATH}/data":
            return default
        first, last = (np.datetime64(query[k].replace(" ", "T"), "h") for k in ("beginDate", "endDate"))
        assert query["duration"] == "HOURLY" and query["returnFlags"] == "true"
        answer = []
        for post in self.posts:
            if post.triplet in query["stationTriplets"].split(","):
                data = [
                    {"stationElement": p.about, "values": p.values(first, last, post.offset or 0)}
                    for p in post.probes
                    if f"SMS:{p.depth:g}:{p.ordinal}" in query["elements"].split(",")
                ]
                answer.append({"stationTriplet": post.triplet, "data": data})
        return json.dumps(answer).encode()


class AwdbSite(Site):
    """Faults are found by any part of a request's path."""

    def next_fault(self, path: str) -> str:
        with self.lock:
            for part, faults in self.faults.items():
                if part in path and faults:
                    return faults.pop(0)
        return ""

    def asked(self, part: str = "/data") -> list[str]:
        return [unquote(path) for path, _ in self.requests if part in path]


@contextmanager
def serve_awdb(posts: list[Post]) -> Iterator[AwdbSite]:
    with serve(_Answers(posts), AwdbSite) as site:
        assert isinstance(site, AwdbSite)
        site.url = site.url.split("/pub/")[0] + PATH
        yield site


def network() -> list[Post]:
    """Four SCAN stations: two usable ones in two time zones, one with deep sensors alone, one without a time zone."""
    fewer = lambda utc: planted(utc) + 5 if utc < np.datetime64("2020-01-11") else None  # noqa: E731
    return [
        Post("2057:AL:SCAN", "Aamu-Jtg", 34.78, -86.55, 860, -6, [Probe(), Probe(ordinal=2, value=fewer), Probe(depth=-8)]),
        Post("2221:CA:SCAN", "Desert Center", 33.8, -115.31, 540, -8),
        Post("2001:NE:SCAN", "Rogers Farm #1", 40.85, -96.47, 1210, -6, [Probe(depth=-8), Probe(depth=-20)]),
        Post("9999:XX:SCAN", "No Clock", 40.0, -100.0, None, None),
    ]  # fmt: skip
