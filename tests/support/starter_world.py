"""Loopback servers of everything the starter dataset needs: USCRN, AWDB, POWER, the Copernicus DEM and SoilGrids."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyproj import Transformer

from support import awdb_server, point_server, power_server, raster_server, uscrn_server

_DEPTHS = ("0-5cm", "5-15cm", "15-30cm")
_SOIL = {"sand": (400.0, 20.0), "clay": (200.0, 0.0), "silt": (400.0, -20.0), "bdod": (130.0, 0.0)}
_HALF = 0.12  # degrees around a station, more than its 9 km cell


@dataclass(frozen=True)
class Place:
    """A station and its mean soil moisture."""

    name: str
    lat: float
    lon: float
    mean: float


def places(number: int, first: int = 0) -> list[Place]:
    """Stations over the Great Plains, more than 60 km apart, wetter in the east."""
    found = []
    for k in range(first, first + number):
        lat, lon = 33.05 + (k % 7) * 1.3, -104.2 + (k // 7) * 1.9
        found.append(Place(f"Place_{k:02d}", lat, lon, 0.12 + 0.02 * ((lon + 104.2) / 1.9)))
    return found


def soil_moisture(place: Place, day: np.datetime64) -> float:
    """Planted in-situ soil moisture of a day: a season and weekly wetting around the place's mean."""
    k = int(day.astype("datetime64[D]").astype(int))
    season = 0.05 * math.cos(2 * math.pi * (k % 365.25) / 365.25)
    return round(place.mean + season + 0.03 * math.exp(-(k % 7) / 3), 3)


def elevation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Metres above sea level of a smooth terrain, by longitude and latitude."""
    return 500 + 40 * np.sin(x * 60) + 30 * np.cos(y * 50) + 0 * (x + y)


def soil(x: np.ndarray, name: str) -> np.ndarray:
    """Stored value of a soil map, by metres east in its projection."""
    mean, amplitude = _SOIL[name]
    return mean + amplitude * np.sin(x / 2e5)


@dataclass
class StarterServers:
    """The addresses by source, and the servers behind them."""

    urls: dict[str, str]
    uscrn: uscrn_server.Site
    awdb: awdb_server.AwdbSite
    power: power_server.PowerService
    dem: raster_server.Server
    soil: raster_server.Server

    @property
    def options(self) -> list[str]:
        """Options of the command line."""
        return [x for name, url in self.urls.items() for x in ("--url", f"{name}={url}")]

    def requests(self) -> dict[str, int]:
        """Number of requests received by source."""
        names = ("uscrn-daily", "scan", "power", "copernicus-dem", "soilgrids")
        servers = (self.uscrn, self.awdb, self.power, self.dem, self.soil)
        return {n: len(s.requests) for n, s in zip(names, servers, strict=True)}


@contextmanager
def serve(
    folder: Path, years: tuple[int, ...], uscrn: list[Place], scan: list[Place]
) -> Iterator[StarterServers]:
    """Serve the stations' records for some years and what surrounds them."""
    for place in (*uscrn, *scan):
        write_terrain(folder / "dem", place)
    write_soil(folder / "soil", [*uscrn, *scan])
    power = power_server.PowerService()
    with ExitStack() as stack:
        first = stack.enter_context(uscrn_server.serve(_uscrn_files(years, uscrn)))
        second = stack.enter_context(awdb_server.serve_awdb([_post(k, p, years) for k, p in enumerate(scan)]))
        stack.enter_context(point_server.serve(power))
        dem = stack.enter_context(raster_server.serve(folder / "dem"))
        soil = stack.enter_context(raster_server.serve(folder / "soil"))
        urls = {
            "uscrn-daily": first.url, "scan": second.url, "power": power.url, "copernicus-dem": dem.url,
            "soilgrids": soil.url,
        }  # fmt: skip
        yield StarterServers(urls, first, second, power, dem, soil)


def _uscrn_files(years: tuple[int, ...], stations: list[Place]) -> dict[str, bytes]:
    root = uscrn_server.ROOT
    table = "WBAN\tCOUNTRY\tSTATE\tLOCATION\tVECTOR\tNAME\tLATITUDE\tLONGITUDE\tELEVATION\n"
    files = {f"{root}/stations.tsv": table.encode()}
    for year in years:
        for k, place in enumerate(stations):
            days = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]")
            lines = [
                uscrn_server.daily_line(
                    f"{10_000 + k:05d}",
                    str(day).replace("-", ""),
                    place.lat,
                    place.lon,
                    sm=soil_moisture(place, day),
                )
                for day in days
            ]
            files[f"{root}/daily01/{year}/CRND0103-{year}-KS_{place.name}.txt"] = (
                "\n".join(lines) + "\n"
            ).encode()
    return files


def _post(number: int, place: Place, years: tuple[int, ...]) -> awdb_server.Post:
    probe = awdb_server.Probe(
        begin=f"{years[0] - 1}-06-01 00:00", end=f"{years[-1] + 1}-06-01 00:00",
        value=lambda utc: 100 * soil_moisture(place, utc),
    )  # fmt: skip
    name = place.name.replace("_", " ")
    return awdb_server.Post(f"{2000 + number}:KS:SCAN", name, place.lat, place.lon, probes=[probe])


def write_terrain(folder: Path, place: Place) -> None:
    """The DEM around a place, over the borders of tiles if need be."""
    box = (place.lon - _HALF, place.lat - _HALF, place.lon + _HALF, place.lat + _HALF)
    for lat in range(math.floor(box[1]), math.floor(box[3]) + 1):
        for lon in range(math.floor(box[0]), math.floor(box[2]) + 1):
            inside = (max(box[0], lon), max(box[1], lat), min(box[2], lon + 1), min(box[3], lat + 1))
            raster_server.dem_tile(folder, lat, lon, elevation, inside)


def to_soil_metres(lon: object, lat: object) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates in the projection of the soil maps."""
    transformer = Transformer.from_crs("EPSG:4326", raster_server.IGH, always_xy=True)
    x, y = transformer.transform(np.asarray(lon, float), np.asarray(lat, float))
    return x, y


def write_soil(folder: Path, stations: list[Place]) -> None:
    """Global maps with values around all stations."""
    lat, lon = ([getattr(p, n) for p in stations] for n in ("lat", "lon"))
    x, y = to_soil_metres(lon, lat)
    box = (min(x) - 3e4, min(y) - 3e4, max(x) + 3e4, max(y) + 3e4)
    for name in _SOIL:
        for depth in _DEPTHS:
            raster_server.soil_map(folder, name, depth, lambda a, b, name=name: soil(a, name) + 0 * b, box)
