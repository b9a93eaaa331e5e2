"""The situations of a folder of inputs from the field (see its README.md): commands and right outcomes."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks.field_verdicts import Case, Found, Measure, Outcome, close, counted, every

DAYS = "2024-06-01:2024-06-03"
TWO_MONTHS = "2024-06-01:2024-07-31"
JULY = [np.nan] * 31
DEMO = ("data", "build", "demo", "--sites", "12", "--out", "demo.zarr")


def places(days: str, *options: str) -> tuple[str, ...]:
    """Return the command that builds a dataset at the sites of places.csv."""
    return ("data", "build", "table", "--from", "places.csv", "--days", days, *options, "--out", "out.zarr")


def stations(name: str, folder: str, *options: str, out: str = "out.zarr") -> tuple[str, ...]:
    """Return the command that builds a dataset of stations."""
    return ("data", "build", name, "--from", folder, *options, "--out", out)


def sites(ds: xr.Dataset) -> int:
    """Return the number of sites."""
    return ds.sizes["site"]


def soil_days(ds: xr.Dataset) -> int:
    """Return the number of days with soil moisture of the first site."""
    return int(ds["sm_insitu"].isel(site=0).notnull().sum())


def median_bias(right: float, tolerance: float) -> Measure:
    """Return a measure of the median bias in scores.nc."""

    def measure(outcome: Outcome) -> Found:
        bias = float(outcome.dataset("scores.nc")["bias"].median())
        return Found(text=f"bias {bias:+.4f}", right=abs(bias - right) <= tolerance)

    return measure


def folder_cases(root: Path) -> list[Case]:
    """Return the cases whose inputs are in the folder."""
    every_case = [*_era5(), *_other_grids(), *_stations(), *_tables(root)]
    names = {c.name: c.name.split(" ")[0] for c in every_case}
    return [_with_inputs(c, root / names[c.name]) for c in every_case if (root / names[c.name]).is_dir()]


def _with_inputs(case: Case, folder: Path) -> Case:
    def copy(work: Path) -> None:
        shutil.copytree(folder, work, dirs_exist_ok=True)
        for first in work.glob("*/MOD13C2.A2020001.*.nc"):
            # A mean of NDVI needs twelve months; the folder has two equal ones.
            for month in range(2, 13):
                name = first.name.replace("A2020001", f"A{date(2020, month, 1):%Y%j}")
                shutil.copyfile(first, first.with_name(name))

    return replace(case, prepare=copy)


def _nothing(work: Path) -> None:
    """Replaced by the copy of the folder."""


def _case(
    kind: str,
    name: str,
    right: str,
    commands: list[tuple[str, ...]],
    measure: Measure | None,
    **rules: object,
) -> Case:
    return Case(
        kind=kind, name=name, right=right, commands=tuple(commands), prepare=_nothing, measure=measure, **rules  # type: ignore[arg-type]
    )  # fmt: skip


def _era5() -> list[Case]:
    def era5(days: str, *options: str) -> list[tuple[str, ...]]:
        return [places(days, "--source", "era5=era5", *options)]

    land = r"ERA5.?Land"
    rain_june = [2.4] * 30
    without = r"precipitation[^.]*lacks 31 of (its |the )?61 days|precipitation[^.]*31 of 61 days"
    air, both = "--forcing=era5:air_temperature", "--forcing=era5:air_temperature,precipitation"
    return [
        _case("A", "era5-01-land", "ERA5-Land named; 3.4, 8.3, 1.8 mm/d", era5(DAYS, both),
              close("precipitation", [3.4036, 8.2581, 1.7727], 0.01), cause=land, named=(land,)),
        _case("A", "era5-01-land shortwave", "ERA5-Land named; 255.4 W/m2",
              era5(DAYS, "--forcing=era5:shortwave_down"), close("shortwave_down", [255.38] * 3, 0.5), cause=land,
              named=(land,)),
        _case("A", "era5-01-land as the error advises", "3.4, 8.3, 1.8 mm/d; 255.4 W/m2",
              [places(DAYS, "--source=era5-land=era5", "--forcing=era5-land:precipitation,shortwave_down")],
              every(close("precipitation", [3.4036, 8.2581, 1.7727], 0.01), close("shortwave_down", [255.38] * 3, 0.5))),
        _case("E", "era5-02-cfgrib", "290 K", era5(DAYS, air), close("air_temperature", [290] * 3, 0.01),
              cause="valid_time|step", refusal=False),
        _case("E", "era5-03-cfgrib-steps", "5.33, 7.06, 7.09 mm/d", era5(DAYS, "--forcing=era5:precipitation"),
              close("precipitation", [5.330, 7.058, 7.091], 0.01), cause=r"valid_time|\bstep\b", refusal=False),
        _case("A", "era5-04-daily-statistics", "290 K, or one value a day named", era5(DAYS, air),
              close("air_temperature", [290] * 3, 0.01), cause=r"one value (a|per) day|daily (mean|statistic|value)"),
        _case("A", "era5-04-daily-statistics @max", "a daily mean is no maximum",
              era5(DAYS, "--forcing=era5:air_temperature@max"), None, cause=r"daily.?mean|one value (a|per) day|statistic"),
        _case("A", "era5-09-monthly-attribute", "3 mm/d and 285 K, or monthly named",
              era5("2015-01-01:2016-12-31", "--attribute=era5:precipitation,air_temperature"),
              every(close("mean_precipitation", 3, 0.01), close("mean_air_temperature", 285, 0.01)), cause="month"),
        *(_case("A", f"era5-09-monthly-attribute as forcing {more}".strip(), "monthly named",
                era5("2015-01-01:2016-12-31", "--forcing=era5:precipitation", *more.split()), None, cause="month")
          for more in ("", "--allow-gaps")),
        _case("G", "era5-11-accum-month-missing", "precipitation lacks 31 of 61 days", era5(TWO_MONTHS, both), None,
              cause=without),
        _case("G", "era5-11-accum-month-missing --allow-gaps", "2.4 mm/d in June, missing in July; 290 K",
              era5(TWO_MONTHS, both, "--allow-gaps"),
              every(close("precipitation", rain_june + JULY, 0.01), close("air_temperature", [290] * 61, 0.01)),
              cause=without, refusal=False),
        _case("H", "era5-12-two-boxes", "eu 290 K, us 300 K", era5(DAYS, air),
              every(*(close("air_temperature", [x] * 3, 0.01, site=s) for s, x in (("eu", 290), ("us", 300)))),
              cause="box|grid|region", refusal=False),
        _case("H", "era5-12-two-boxes two --source", "eu 290 K, us 300 K",
              [places(DAYS, "--source=era5=era5_eu", "--source=era5=era5_us", air)],
              every(*(close("air_temperature", [x] * 3, 0.01, site=s) for s, x in (("eu", 290), ("us", 300)))),
              cause="--source.*(twice|repeated|several)"),
    ]  # fmt: skip


def _other_grids() -> list[Case]:
    def ndvi(folder: str) -> list[tuple[str, ...]]:
        return [places("2020-01-01:2020-12-31", f"--source=mod13c2={folder}", "--attribute=mod13c2")]

    gldas = [places("2016-01-01:2016-01-01", "--source=gldas-noah025=g", "--product=gldas-noah025")]
    imerg = [places("2024-02-28:2024-03-01", "--source=imerg=a", "--forcing=imerg:precipitation")]
    return [
        _case("F", "gldas-01-sub", "0.318 m3/m3", gldas, close("sm_product", [0.317834], 1e-4),
              cause=r"\.SUB", refusal=False),
        _case("F", "gldas-02-ep", "0.318 m3/m3", gldas, close("sm_product", [0.317834], 1e-4),
              cause="_EP|early", refusal=False),
        _case("F", "imerg-01-sub", "7.605, 7.98, 1.056 mm/d", imerg,
              close("precipitation", [7.605148, 7.980010, 1.056304], 1e-3), cause=r"\.SUB", refusal=False),
        _case("C", "modis-02-ndvi-gdal a", "0.8", ndvi("a"), close("ndvi", 0.8, 1e-3), cause="Band1", refusal=False),
        _case("C", "modis-02-ndvi-gdal b", "0.8", ndvi("b"), close("ndvi", 0.8, 1e-3), cause="south", refusal=False),
    ]  # fmt: skip


def _stations() -> list[Case]:
    def in_series(outcome: Outcome) -> Found:
        n = soil_days(outcome.dataset())
        return Found(text=f"{n} days", right=n in (365, 725))

    def moved(outcome: Outcome) -> Found:
        ds = outcome.dataset()
        named = re.search(distance, outcome.output + outcome.history)
        text = f"{sites(ds)} site(s), {soil_days(ds)} days at the first, the distance {'' if named else 'not '}named"
        return Found(text=text, right=sites(ds) == 2 or bool(named))

    def elevations(*right: float) -> Measure:
        def measure(outcome: Outcome) -> Found:
            found = np.sort(outcome.dataset()["elevation"].values.astype(float))
            same = len(found) == len(right) and np.allclose(found, np.sort(right), equal_nan=True)
            return Found(text=f"{len(found)} sites, elevation {found.tolist()}", right=bool(same))

        return measure

    def daily(outcome: Outcome) -> Found:
        n = sites(outcome.dataset())
        named = "min-hours" in outcome.reported
        text = f"{n} of 2 stations; --min-hours {'' if named else 'not '}named"
        return Found(text=text, right=n == 2 or named)

    distance = r"3[0-9](\.\d+)? ?km|moved"
    air = ("--forcing=era5:air_temperature", "--source=era5=era5")
    arch = [stations("ismn", "arch")]
    join = ("data", "join", "i.zarr", "u.zarr", "--out", "out.zarr")
    return [
        _case("D", "ismn-01-two-downloads", "730 days", arch, counted("days", 730, soil_days)),
        _case("D", "ismn-05-replaced-sensor", "365 days, the other probe named in the summary", arch, in_series,
              named=("Digital-B|--combine join",)),
        _case("D", "ismn-05-replaced-sensor --combine join", "725 days",
              [stations("ismn", "arch", "--combine", "join")], counted("days", 725, soil_days)),
        _case("D", "ismn-06-moved --combine mean", "33 km apart: said, or two sites",
              [stations("ismn", "arch", "--combine", "mean")], moved, cause=distance),
        _case("H", "ismn-08-header-odd arch", "3 stations, elevation missing at 2",
              [stations("ismn", "arch")], elevations(200, np.nan, np.nan)),
        _case("H", "ismn-08-header-odd two", "2 stations, elevation missing at 1",
              [stations("ismn", "two")], elevations(200, np.nan)),
        _case("H", "ismn-09-daily-network", "kept, or --min-hours named", arch, daily),
        _case("D", "uscrn-01-renamed", "1 station, 1096 days", [stations("uscrn-daily", "u")],
              every(counted("sites", 1, sites), counted("days", 1096, soil_days))),
        _case("D", "join-01-same-stations", "2 stations, the choice named",
              [stations("ismn", "ismn", *air, out="i.zarr"), stations("uscrn-daily", "u", *air, out="u.zarr"), join],
              counted("sites", 2, sites), cause="same station|duplicate|twice|twin",
              named=("same station|duplicate|twice|twin",)),
    ]  # fmt: skip


def _tables(root: Path) -> list[Case]:
    def network(name: str) -> list[tuple[str, ...]]:
        return [
            DEMO,
            ("data", "add-network", "demo.zarr", f"{name}.csv", "--name", "mine", "--within-km", "3000", "--out", "out.zarr"),
        ]  # fmt: skip

    def depth(outcome: Outcome) -> Found:
        ds = outcome.dataset().load()
        found = float(ds["depth"].values[[str(s).startswith("mine") for s in ds["site"].values]][0])
        return Found(text=f"depth {found:g} m", right=abs(found - 0.05) < 1e-6)

    def product(name: str, cause: str) -> Case:
        return _case(
            "E", f"table-01-excel {name}", "0.2256, 0.2199, 0.2063, or the cause named",
            [DEMO, ("data", "add-product", "demo.zarr", f"{name}.csv", "--name", "mine", "--out", "out.zarr")],
            _first_days, cause=cause,
        )  # fmt: skip

    def place(name: str, right: str, measure: Measure | None, cause: str) -> Case:
        return _case(
            "E", f"places-01 {name}", right,
            [("data", "build", "table", "--from", f"{name}.csv", "--days", DAYS, "--forcing=era5:air_temperature",
              "--source", f"era5={root / 'era5-12-two-boxes' / 'era5_eu'}", "--out", "out.zarr")],
            measure, cause=cause,
        )  # fmt: skip

    def score(name: str, right: str, bias: float, cause: str = r"(?!)", **rules: object) -> Case:
        return _case(
            "B", f"table-03-score {name}", right, [("score", name, "obs.nc", "--out", "scores.nc")],
            median_bias(bias, 1e-4), cause=cause, **rules,
        )  # fmt: skip

    warm = close("air_temperature", [290] * 3, 0.01)
    same = _bias_of(root / "table-03-score")
    return [
        _case("H", "network-01-depth-cm a", "5 m refused, centimetres hinted", network("a"), None,
              cause=r"depth.*\b5\b.*(cm|centimet)"),
        _case("H", "network-01-depth-cm b", "-0.05 m refused, with a hint", network("b"), None,
              cause=r"depth.*-0\.05.*(below|positive|downward|0 to)"),
        _case("H", "network-01-depth-cm c", "0.05 m", network("c"), depth),
        score("p.nc", f"bias {same:+.4f}", same),
        score("i_hourly.nc", "bias 0 (daily means are equal), or hourly named", 0.0, "hour|sub.?daily"),
        score("f.nc", f"the repeated day named, bias {same:+.4f}", same, r"(?=.*(twice|duplicate|repeat)).*2015-04-06",
              named=("(twice|duplicate|repeat).*2015-04-06",)),
        score("classic.nc", f"bias {same:+.4f}", same, "classic netCDF|netCDF.?3"),
        score("c.zarr", f"bias {same:+.4f}", same, "(is a|as|read) zarr|zarr (store|folder|dataset|group)"),
        product("a", "(remove|delete|first line).*sep=|sep=.*(remove|delete|line)"),
        product("b", "UTF-16"), product("c", "empty row|separator"), product("d", "time"),
        product("e", "UTF-8"),
        place("a", "longitude 369.75 named", None, r"^(?!.*swapped).*lon.*369\.75"),
        place("b", "290 K, or the columns named", warm, r"\b(Latitude|id)\b"),
        place("c", "duplicate site named", None, "duplicate.*'?x"),
        place("d", "290 K, or decimal commas named", warm, "comma|decimal"),
        place("e", "site 007, 290 K", every(warm, counted("site named 007", 1, lambda ds: str(ds["site"].values[0]) == "007")),
              r"(?!)"),
    ]  # fmt: skip


def _first_days(outcome: Outcome) -> Found:
    ds = outcome.dataset()
    values = ds["sm_product"].sel(product="mine", site="SIM-US-01|ST-001")
    found = values.sel(time=slice("2015-04-01", "2015-04-03")).values.astype(float)
    n = int(values.notnull().sum())
    text = ", ".join(f"{x:.4f}" for x in found) + f"; {n} days"
    return Found(text=text, right=bool(np.allclose(found, [0.2256, 0.2199, 0.2063], atol=1e-4)) and n > 190)


def _bias_of(folder: Path) -> float:
    """Return the median over sites of the mean of product minus observation, from the files that are right."""
    if not folder.is_dir():
        return np.nan
    files = (folder / "p.nc", folder / "obs.nc")
    predicted, observed = (xr.load_dataset(p, engine="h5netcdf")["sm"] for p in files)
    return float((predicted - observed).mean("time").median())
