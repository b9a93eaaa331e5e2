"""One small request to every service of the catalogue, as a table; needs internet: python benchmarks/run.py live.

A service passes if its answer can be read and its values are plausible for two well-known places. The last line names
the entries whose `tried` may be set to today's date.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gsm3core.catalog import source_entries, source_entry
from gsm3core.cli.common import parse_urls
from gsm3core.config import Period
from gsm3core.download import accounts
from gsm3core.download.awdb import pull_awdb
from gsm3core.download.fetch import FetchResult, RetryPolicy
from gsm3core.download.points import pull_points
from gsm3core.download.uscrn import pull_uscrn
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.readers import make_point_reader
from gsm3core.readers.awdb import read_awdb
from gsm3core.readers.points import Points
from gsm3core.readers.uscrn_daily import read_uscrn_daily

PLACES = Points(
    np.array(["Konza Prairie", "Nairobi"]), np.array([39.1023, -1.2864]), np.array([-96.6104, 36.8172])
)
TEN_DAYS = Period(start=dt.date(2020, 7, 1), end=dt.date(2020, 7, 10))
YEAR = 2020
# Variable -> lowest and highest plausible mean over the places (July 2020, the soil, the terrain), canonical units.
PLAUSIBLE = {
    "air_temperature": (285, 305), "air_temperature_max": (290, 312), "air_temperature_min": (278, 300),
    "precipitation": (0, 40), "shortwave_down": (120, 350), "longwave_down": (300, 450),
    "surface_pressure": (80000, 100000), "relative_humidity": (0.3, 1.0), "specific_humidity": (0.006, 0.025),
    "wind_speed": (0.3, 10), "sm_insitu": (0.02, 0.6), "soil_temperature": (270, 310), "soil_moisture": (0.02, 0.6),
    "elevation": (950, 1150), "slope": (0, 20), "sand": (0.05, 0.8), "clay": (0.05, 0.7), "silt": (0.05, 0.7),
    "bulk_density": (0.9, 1.7),
}  # fmt: skip
_POLICY = RetryPolicy(attempts=2, timeout=30.0)


class _SkippedError(Exception):
    """The service needs an account or a package that is not there."""


@dataclass(slots=True)
class Outcome:
    """What one service answered."""

    name: str
    passed: bool | None = None
    text: str = ""
    seconds: float = 0.0
    fetched: FetchResult = field(default_factory=FetchResult)


def main(arguments: list[str]) -> None:
    """Print the table; exit status 1 if a service failed."""
    options = argparse.ArgumentParser(prog="run.py live", description=__doc__)
    options.add_argument("--only", default="", help="names of the catalogue, separated by commas")
    options.add_argument("--url", action="append", default=[], help="NAME=URL of another server; repeatable")
    given = options.parse_args(arguments)
    known = services()
    chosen = [n for n in given.only.split(",") if n] or list(known)
    if unknown := [n for n in chosen if n not in known]:
        sys.exit(f"unknown service {unknown[0]!r}. Expected some of: {', '.join(known)}.")
    try:
        urls = parse_urls(given.url)
    except ConfigError as error:
        sys.exit(str(error))
    outcomes = [try_service(name, known[name], urls.get(name, "")) for name in chosen]
    print_outcomes(outcomes)
    if any(o.passed is False for o in outcomes):
        sys.exit(1)


Check = Callable[[str, Path, str], tuple[xr.Dataset, FetchResult]]


def services() -> dict[str, Check]:
    """Return the check of every catalogue entry that can be downloaded."""
    found: dict[str, Check] = {"uscrn-daily": _uscrn, "scan": _awdb, "snotel": _awdb}
    for name, entry in source_entries().items():
        if entry.grid.kind == "points" and any(a.kind == "service" for a in entry.access):
            found[name] = _points
        elif any(a.kind == "cds" for a in entry.access) and entry.grid.kind == "points":
            found[name] = _cds
    return found | {"smap-l3e": _smap}


def try_service(name: str, check: Check, url: str) -> Outcome:
    """Return the outcome of one request; no error of one service stops the others."""
    outcome = Outcome(name)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            ds, outcome.fetched = check(name, Path(folder), url)
            means = {str(n): float(a.mean()) for n, a in ds.data_vars.items() if a.dtype.kind == "f"}
            wrong = implausible(means) + empty_places(ds)
            outcome.passed = not wrong and bool(means)
            outcome.text = (
                "; ".join(wrong) or ", ".join(f"{n} {x:.4g}" for n, x in means.items()) or "no value"
            )
        except _SkippedError as error:
            outcome.text = str(error)
        except DatasetError as error:
            outcome.passed, outcome.text = False, str(error)
        except Exception as error:  # noqa: BLE001 - a table of every service, whatever one of them answers
            outcome.passed, outcome.text = False, f"{type(error).__name__}: {error}"
    outcome.seconds = time.monotonic() - started
    return outcome


def implausible(means: dict[str, float]) -> list[str]:
    """Return a sentence for each mean that is missing or outside its plausible range."""
    problems = []
    for name, value in means.items():
        low, high = PLAUSIBLE.get(name, (-np.inf, np.inf))
        if not np.isfinite(value):
            problems.append(f"{name} has no value")
        elif not low <= value <= high:
            problems.append(f"{name} is {value:.4g}; expected {low:g} to {high:g}")
    return problems


def empty_places(ds: xr.Dataset) -> list[str]:
    """Return a sentence for each variable without any value at one of the places; their mean would hide it."""
    if ds.sizes.get("site") != len(PLACES) or set(ds["site"].values) != set(PLACES.site):
        return []
    problems = []
    for name, values in ds.data_vars.items():
        others = [d for d in values.dims if d != "site"]
        empty = values.isnull().all(others).values
        if empty.any() and not empty.all():
            problems.append(f"{name} has no value at {', '.join(map(str, ds['site'].values[empty]))}")
    return problems


def print_outcomes(outcomes: list[Outcome]) -> None:
    """Print one row per service, its mean values or problem, and the entries whose `tried` may be set."""
    console = Console(soft_wrap=True, highlight=False)
    table = Table(title="Live services", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("service", "outcome", "requests", "kB", "s"):
        table.add_column(
            column, no_wrap=True, justify="left" if column in ("service", "outcome") else "right"
        )
    for o in outcomes:
        word = {True: "passed", False: "FAILED", None: "not tried"}[o.passed]
        table.add_row(
            o.name, word, str(o.fetched.requests), f"{o.fetched.bytes / 1e3:.0f}", f"{o.seconds:.1f}"
        )  # fmt: skip
    console.print(table)
    for o in outcomes:
        console.print(f"\n{escape(o.name)}: {escape(o.text)}")
    if passed := [o.name for o in outcomes if o.passed]:
        console.print(
            f"\nSet `tried: {dt.datetime.now(dt.UTC).date()}` in the catalogue entries of {', '.join(passed)}."
        )


def _points(name: str, folder: Path, url: str) -> tuple[xr.Dataset, FetchResult]:
    entry = source_entry(name)
    period = None if entry.step == "static" else TEN_DAYS
    fetched = pull_points(entry, PLACES, folder, period=period, url=url, policy=_POLICY)
    return make_point_reader(entry.reader).open(folder, PLACES, period, None), fetched


def _uscrn(name: str, folder: Path, url: str) -> tuple[xr.Dataset, FetchResult]:
    pulled = pull_uscrn([YEAR], folder, url=url, stations="^KS_Manhattan", policy=_POLICY)
    return read_uscrn_daily(folder, TEN_DAYS)[0][["sm_insitu", "air_temperature"]], pulled.fetched


def _awdb(name: str, folder: Path, url: str) -> tuple[xr.Dataset, FetchResult]:
    state = {"scan": ":NE:", "snotel": ":NM:"}[name]
    pulled = pull_awdb(name, [YEAR], folder, url=url, stations=state, policy=_POLICY)
    return read_awdb(folder, name, TEN_DAYS)[0][["sm_insitu"]], pulled.fetched


def _cds(name: str, folder: Path, url: str) -> tuple[xr.Dataset, FetchResult]:
    if not accounts.has_cds_account():
        raise _SkippedError("needs a Copernicus account (~/.cdsapirc)")
    return _points(name, folder, url)


def _smap(name: str, folder: Path, url: str) -> tuple[xr.Dataset, FetchResult]:
    if not accounts.has_earthdata_account():
        raise _SkippedError("needs an Earthdata account (~/.netrc)")
    from gsm3core.assembly.collocate import to_sites
    from gsm3core.readers import make_grid_reader

    day = Period(start=TEN_DAYS.start, end=TEN_DAYS.start)
    files = accounts.pull_smap(day, folder)
    found = make_grid_reader(source_entry(name).reader).open(
        folder, day, transform=lambda ds: to_sites(ds, PLACES.lat, PLACES.lon)
    )  # fmt: skip
    size = sum(Path(f).stat().st_size for f in files)
    return found.drop_vars("distance_km", errors="ignore"), FetchResult(
        new=[str(f) for f in files], bytes=size
    )
