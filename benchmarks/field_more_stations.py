"""Further inputs of the kinds of the field benchmark: stations, tables and products at sites (kinds B, D and H)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import field_inputs as grids
from benchmarks import field_station_inputs as write
from benchmarks.field_cases import DAYS, DEMO, places, sites, soil_days, stations
from benchmarks.field_verdicts import Case, Found, Measure, Outcome, close, counted, every

HALF = ("2017-01-01", "2017-03-31")
OTHER_HALF = ("2017-04-01", "2017-06-30")
_SCORE = ("score", "product.nc", "obs.nc", "--out", "scores.nc")
_BIAS = 0.02
_DAILY = r"one value (a|per) day|daily (mean|statistic|value)"


def _case(
    kind: str,
    name: str,
    right: str,
    prepare: Callable[[Path], None],
    commands: list[tuple[str, ...]],
    measure: Measure | None,
    **rules: object,
) -> Case:
    return Case(
        kind=kind, name=name, right=right, prepare=prepare, commands=tuple(commands), measure=measure, **rules  # type: ignore[arg-type]
    )  # fmt: skip


def station_cases() -> list[Case]:
    """Return the cases of kind D and, for stations, of kind H."""
    return [*_identity(), *_bad_stations()]


def table_cases() -> list[Case]:
    """Return the cases of kind B and, for tables and folders, of kind H."""
    return [*_labels(), *_bad_entries()]


def _labels() -> list[Case]:
    """B: time labels of the two sides of a score, and of daily files."""
    since = "days since 2015-01-01"
    days = np.arange(400.0)

    def pair(product: Callable[[Path, np.ndarray], None], *, length: int = 400) -> Callable[[Path], None]:
        def prepare(work: Path) -> None:
            values = write.walk(length)
            write.series(work / "obs.nc", values, np.arange(length, dtype=float), since)
            product(work / "product.nc", values)

        return prepare

    def noon(path: Path, values: np.ndarray) -> None:
        write.series(path, values + _BIAS, days + 0.5, since)

    def half_hours(path: Path, values: np.ndarray) -> None:
        write.series(path, hourly(values) + _BIAS, (np.arange(9600) + 0.5) / 24, since)

    def hourly(values: np.ndarray) -> np.ndarray:
        cycle = 0.05 * np.cos(2 * np.pi * np.arange(24) / 24)
        return (values[:, :, None] + cycle).reshape(len(values), -1)

    def hourly_observations(work: Path) -> None:
        values = write.walk(400)
        write.series(work / "product.nc", values + _BIAS, days, since)
        write.series(work / "obs.nc", hourly(values), np.arange(9600) / 24, since)

    def end_labels(path: Path, values: np.ndarray) -> None:
        write.series(path, values + _BIAS, days + 1, since, bounds=np.stack([days, days + 1], axis=1))

    def no_leap_day(path: Path, values: np.ndarray) -> None:
        # 2016-02-29 is day 424 of the walk.
        kept = np.delete(values, 424, axis=1)
        write.series(path, kept + _BIAS, np.arange(kept.shape[1], dtype=float), since, calendar="noleap")

    def months_of_30(path: Path, values: np.ndarray) -> None:
        write.series(path, values + _BIAS, days, since, calendar="360_day")

    def monthly(path: Path, values: np.ndarray) -> None:
        starts = pd.date_range("2015-01-01", periods=60, freq="MS")
        first = np.asarray((starts - starts[0]).days)
        means = np.stack(
            [values[:, k : k + n].mean(1) for k, n in zip(first, starts.days_in_month, strict=True)], 1
        )
        write.series(path, means + _BIAS, first.astype(float), since)

    def composites(path: Path, values: np.ndarray) -> None:
        means = values.reshape(len(values), -1, 8).mean(2)
        starts = np.arange(0.0, 400, 8)
        write.series(path, means + _BIAS, starts, since, bounds=np.stack([starts, starts + 8], axis=1))

    def cdo_daymean(work: Path) -> None:
        grids.write_places(work)
        times = grids.DAYS + pd.Timedelta("11h30min")
        grids.era5(work / "era5" / "t2m_daymean.nc", {"t2m": [290, 291, 292]}, times, time="time")

    exact = f"bias {_BIAS:+.3f}, ubRMSE 0"
    return [
        _case("B", "score-noon-labels", exact, pair(noon), [_SCORE], _exact, cause="12:00|noon|time of day"),
        _case("B", "score-half-hour-labels", exact, pair(half_hours), [_SCORE], _exact, cause=r"hour|sub.?daily"),
        _case("B", "score-hourly-observations", exact, hourly_observations, [_SCORE], _exact, cause=r"hour|sub.?daily"),
        _case("B", "score-end-labels-with-bounds", exact, pair(end_labels), [_SCORE], _exact, cause="bounds|interval"),
        _case("B", "score-noleap", exact, pair(no_leap_day, length=731), [_SCORE], _exact, cause="noleap|365.?day|calendar",
              source="https://github.com/Deltares/hydromt_wflow/issues/138"),
        _case("B", "score-360-day", "360_day named", pair(months_of_30), [_SCORE], None, cause="360.?day"),
        _case("B", "score-monthly", "monthly values named", pair(monthly, length=1830), [_SCORE], None,
              cause=r"month|(28|30|31) days"),
        _case("B", "score-8-day-means", "intervals of 8 days named", pair(composites), [_SCORE], None,
              cause=r"8(\.0)? ?days|8-day"),
        _case("B", "era5-cdo-daymean", "290, 291, 292 K, or one value a day named", cdo_daymean,
              [places(DAYS, "--source=era5=era5", "--forcing=era5:air_temperature")],
              close("air_temperature", [290, 291, 292], 0.01), cause=_DAILY),
    ]  # fmt: skip


def _exact(outcome: Outcome) -> Found:
    scores = outcome.dataset("scores.nc")
    bias, error = (float(scores[name].median()) for name in ("bias", "ubRMSE"))
    return Found(
        text=f"bias {bias:+.4f}, ubRMSE {error:.4f}", right=abs(bias - _BIAS) < 1e-4 and error < 1e-4
    )


def _identity() -> list[Case]:
    """D: records, stations and archives under several names."""

    def overlapping(work: Path) -> None:
        write.stm(work / "arch", "NETA", "Hill", "2017-01-01", "2017-04-30")
        write.stm(work / "arch", "NETA", "Hill", "2017-03-01", "2017-06-30")

    def two_folders(work: Path) -> None:
        write.stm(work / "arch" / "download_1", "NETA", "Hill", *HALF)
        write.stm(work / "arch" / "download_2", "NETA", "Hill", *OTHER_HALF)

    def zips(work: Path) -> None:
        for k, half in enumerate((HALF, OTHER_HALF)):
            write.stm(work / f"z{k}", "NETA", "Hill", *half)
            (work / "arch").mkdir(exist_ok=True)
            shutil.make_archive(str(work / "arch" / f"Data_separate_files_{k}"), "zip", work / f"z{k}")

    def zip_and_folder(work: Path) -> None:
        write.stm(work / "arch" / "unpacked", "NETA", "Hill", *HALF)
        shutil.make_archive(str(work / "arch" / "Data_separate_files"), "zip", work / "arch" / "unpacked")

    def era5_copy(work: Path) -> None:
        grids.write_places(work)
        times = grids.hours("2024-06-01", "2024-06-03")
        for name in ("data_0.nc", "data_0 (1).nc"):
            grids.era5(work / "era5" / name, {"t2m": grids.steady(times)}, times)

    def browser(work: Path) -> None:
        write.stm(work / "arch", "NETA", "Hill", *HALF)
        write.stm(work / "arch", "NETA", "Hill", *OTHER_HALF, tail=" (1)")

    def uscrn_browser(work: Path) -> None:
        write.uscrn(work / "u", 2016, "TX_Monahans_6_ENE", "03047")
        write.uscrn(work / "u", 2017, "TX_Monahans_6_ENE", "03047", tail=" (1)")

    def uscrn_distance(work: Path) -> None:
        write.uscrn(work / "u", 2016, "TX_Monahans_6_ENE", "03047")
        write.uscrn(work / "u", 2017, "TX_Monahans_5_ENE", "03047")

    def uscrn_namesakes(work: Path) -> None:
        write.uscrn(work / "u", 2017, "TX_Monahans_6_ENE", "03047")
        write.uscrn(work / "u", 2017, "TX_Monahans_7_ENE", "03048", value=0.3, lat=31.92)

    def same_name(work: Path) -> None:
        write.stm(work / "arch", "NETA", "Hill", *HALF)
        write.stm(work / "arch", "NETB", "Hill", *HALF, lat=45.0, value=0.3)

    def twins(work: Path) -> None:
        from gsm3core.geography.grids import cell_centres

        lat, _ = cell_centres("M09")
        row = int(np.abs(lat - 48).argmin())
        edge = (lat[row] + lat[row + 1]) / 2  # 0.0018 degrees are 200 m
        for network, shift in (("NETA", 0.0009), ("NETB", -0.0009)):
            write.stm(work / "arch", network, f"Hill{network[-1]}", *HALF, lat=edge + shift)

    halves = every(counted("sites", 1, sites), counted("days", write.HALF_YEAR, soil_days))
    arch, folder = [stations("ismn", "arch")], [stations("uscrn-daily", "u")]
    two_years = every(counted("sites", 1, sites), counted("days", 731, soil_days))

    def values(right: list[float]) -> Measure:
        def measure(outcome: Outcome) -> Found:
            found = np.sort(outcome.dataset()["sm_insitu"].mean("time").values.astype(float))
            same = len(found) == len(right) and np.allclose(found, right, atol=1e-4)
            return Found(text=f"{len(found)} sites: {', '.join(f'{x:.3f}' for x in found)}", right=bool(same))

        return measure

    return [
        _case("D", "ismn-overlapping-downloads", "1 site, 181 days", overlapping, arch, halves),
        _case("D", "ismn-two-folders", "1 site, 181 days", two_folders, arch, halves, warned="duplicate of the station"),
        _case("D", "ismn-folder-of-zips", "1 site, 181 days, or .zip named", zips, arch, halves, cause=r"zip"),
        _case("D", "ismn-zip-and-its-folder", "1 site, 90 days", zip_and_folder, arch,
              every(counted("sites", 1, sites), counted("days", 90, soil_days))),
        _case("D", "era5-browser-copy", "290, 291, 292 K, or both files named", era5_copy,
              [places(DAYS, "--source=era5=era5", "--forcing=era5:air_temperature")],
              close("air_temperature", [290, 291, 292], 0.01), cause=r"two files.*data_0 \(1\)\.nc"),
        _case("D", "ismn-browser-copy", "1 site, 181 days", browser, arch, halves, cause=r"\(1\)", warned=r"\(1\)\.stm"),
        _case("D", "uscrn-browser-copy", "1 site, 731 days", uscrn_browser, folder, two_years, cause=r"\(1\)",
              warned=r"\(1\)\.txt"),
        _case("D", "uscrn-new-distance-in-name", "1 site, 731 days", uscrn_distance, folder, two_years),
        _case("D", "uscrn-two-wban", "2 sites: 0.200, 0.300", uscrn_namesakes, folder, values([0.2, 0.3])),
        _case("D", "ismn-one-name-two-networks", "2 sites: 0.200, 0.300", same_name, arch, values([0.2, 0.3])),
        _case("D", "ismn-twins-across-a-cell-edge", "named at the build; in one group of the holdout", twins,
              [*arch, ("groups", "out.zarr")], _one_group, named=(r"0\.2\d*.?km|(19|20)\d.?m\b|within 1 km|twin|nearby",)),
    ]  # fmt: skip


def _one_group(outcome: Outcome) -> Found:
    groups = re.findall(r"group (-?\d+): (\S+)", outcome.last)
    distinct = len({g for g, _ in groups})
    if len(groups) == 1:
        return Found(text="one of the two stations kept", right=True)
    return Found(text=f"{len(groups)} stations in {distinct} group(s)", right=distinct == 1)


def _bad_stations() -> list[Case]:
    """H: one bad station among good ones."""

    def two_and(work: Path) -> None:
        write.stm(work / "arch", "NETA", "A", *HALF)
        write.stm(work / "arch", "NETA", "B", *HALF, lat=45.0)

    def coordinates(work: Path) -> None:
        two_and(work)
        write.stm(work / "arch", "NETA", "C", *HALF, lat=-9999.0, lon=-9999.0)

    def empty(work: Path) -> None:
        two_and(work)
        write.stm(work / "arch", "NETA", "C", *HALF)
        next((work / "arch" / "NETA" / "C").iterdir()).write_bytes(b"")

    def login_page(work: Path) -> None:
        write.uscrn(work / "u", 2017, "TX_Monahans_6_ENE", "03047")
        page = "<!DOCTYPE html>\n<html><body>503 Service Unavailable</body></html>\n"
        (work / "u" / "CRND0103-2017-OK_Stillwater_2_W.txt").write_text(page)

    two = counted("sites", 2, sites)
    return [
        _case("H", "ismn-coordinates-9999", "2 sites, C named", coordinates, [stations("ismn", "arch")], two,
              noted=(r"-9999|invalid coordinates",)),
        _case("H", "ismn-empty-file", "2 sites, C named", empty, [stations("ismn", "arch")], two, noted=("is empty",)),
        _case("H", "uscrn-login-page", "1 site, Stillwater named", login_page, [stations("uscrn-daily", "u")],
              counted("sites", 1, sites), noted=("Stillwater",)),
    ]  # fmt: skip


def _bad_entries() -> list[Case]:
    """H: one bad row, a repeated option, a damaged file."""

    def warm_box(work: Path, folder: str = "era5") -> None:
        times = grids.hours("2024-06-01", "2024-06-03")
        by_cell = 290 + np.arange(3.0)
        field = np.broadcast_to(by_cell, (len(times), 3, 3))
        grids.era5(work / folder / "e.nc", {"t2m": field}, times)

    def sentinel(work: Path) -> None:
        grids.write_places(work, {"a": grids.SITE, "b": (-9999.0, -9999.0)})
        warm_box(work)

    def digits(work: Path) -> None:
        grids.write_places(work, {"001": (50.25, 9.5), "1": (50.25, 10.0)})
        warm_box(work)

    def two_boxes(work: Path) -> None:
        grids.write_places(work, {"eu": grids.SITE, "us": (39.15, -96.55)})
        for k, day in enumerate(("2024-06-01", "2024-06-02", "2024-06-03")):
            grids.imerg_day(work / "eu", day, 5 + k)
            grids.imerg_day(
                work / "us", day, 1 + k, lat=np.arange(38.95, 39.5, 0.1), lon=np.arange(-96.85, -96.3, 0.1)
            )

    def two_months(work: Path) -> None:
        grids.write_places(work)
        for name, day, value in (("june", "2024-06-30", 290.0), ("july", "2024-07-01", 295.0)):
            times = pd.date_range(day, periods=24, freq="h")
            grids.era5(work / name / f"{name}.nc", {"t2m": np.full(24, value)}, times)

    def overlapping_boxes(work: Path) -> None:
        grids.write_places(work, {"both": grids.SITE, "east": (50.25, 10.5)})
        times = grids.hours("2024-06-01", "2024-06-03")
        for name, x in (("box_1.nc", np.arange(9.0, 10.1, 0.25)), ("box_2.nc", np.arange(9.5, 10.6, 0.25))):
            field = np.broadcast_to(280 + x, (len(times), 3, len(x)))
            grids.era5(work / "era5" / name, {"t2m": field}, times, lon=x)

    def truncated(work: Path) -> None:
        two_months(work)
        (work / "era5").mkdir()
        for name in ("june", "july"):
            (work / name).rename(work / "era5" / name)
        path = work / "era5" / "july" / "july.nc"
        path.write_bytes(path.read_bytes()[:3000])

    def depths(work: Path) -> None:
        write.network_table(work / "n.csv", [("good", 36.6, -76.3, 0.05), ("bad", 31.8, -83.2, 20)])

    def centimetres(work: Path) -> None:
        write.network_table(work / "n.csv", [("good", 36.6, -76.3, 5)])
        text = (work / "n.csv").read_text().replace("lon,depth", "lon,depth [cm]")
        (work / "n.csv").write_text(text)

    def no_place(work: Path) -> None:
        write.network_table(work / "n.csv", [("good", 36.6, -76.3, 0.05), ("bad", -9999, -9999, 0.05)])

    air = "--forcing=era5:air_temperature"
    add = (
        "data",
        "add-network",
        "demo.zarr",
        "n.csv",
        "--name",
        "mine",
        "--within-km",
        "3000",
        "--out",
        "out.zarr",
    )
    added = counted("sites", 13, sites)

    def each(name: str, right: dict[str, list[float]]) -> Measure:
        return every(*(close(name, x, 1e-3, site=s) for s, x in right.items()))

    return [
        _case("H", "places-9999", "a 291 K and b named, or b refused", sentinel, [places(DAYS, "--source=era5=era5", air)],
              close("air_temperature", [291] * 3, 1e-3, site="a"), cause=r"^(?!.*swapped)(?=.*-9999).*\bb\b",
              named=(r"(refused|left out|not used|invalid)[^\n]*\bb\b|\bb\b[^\n]*(refused|left out|not used|invalid|-9999)",)),
        _case("H", "places-001-and-1", "001: 290 K, 1: 292 K", digits, [places(DAYS, "--source=era5=era5", air)],
              each("air_temperature", {"001": [290.0] * 3, "1": [292.0] * 3})),
        _case("H", "imerg-two-boxes", "eu 5, 6, 7; us 1, 2, 3 mm/d", two_boxes,
              [places(DAYS, "--source=imerg=eu", "--source=imerg=us", "--forcing=imerg:precipitation")],
              each("precipitation", {"eu": [5.0, 6.0, 7.0], "us": [1.0, 2.0, 3.0]}),
              cause="--source.*(twice|repeated|several)"),
        _case("H", "era5-overlapping-boxes", "both 289.75 K, east 290.5 K", overlapping_boxes,
              [places(DAYS, "--source=era5=era5", air)],
              each("air_temperature", {"both": [289.75] * 3, "east": [290.5] * 3})),
        _case("H", "era5-two-folders-of-months", "290, 295 K", two_months,
              [places("2024-06-30:2024-07-01", "--source=era5=june", "--source=era5=july", air)],
              close("air_temperature", [290, 295], 0.01), cause="--source.*(twice|repeated|several)"),
        _case("H", "era5-truncated-file", "july.nc named as damaged", truncated,
              [places("2024-06-30:2024-07-01", "--source=era5=era5", air)], None, cause=r"july\.nc.*(damaged|truncated)"),
        _case("H", "network-depth-20", "site bad and 20 named", depths, [DEMO, add], added,
              cause=r"depth.*\b20\b", named=(r"bad[^\n]*(refused|left out|not used)|(refused|left out|not used)[^\n]*bad",)),
        _case("H", "network-depth-cm-column", "0.05 m, or the column named", centimetres, [DEMO, add], _depth_of_mine,
              cause=r"depth \[cm\]"),
        _case("H", "network-coordinates-9999", "site bad named", no_place, [DEMO, add], added,
              cause=r"^(?!.*swapped)(?=.*-9999).*\bbad\b",
              named=(r"bad[^\n]*(refused|left out|not used)|(refused|left out|not used)[^\n]*bad",)),
    ]  # fmt: skip


def _depth_of_mine(outcome: Outcome) -> Found:
    ds = outcome.dataset()
    row = [str(x) for x in ds["site"].values].index("mine_good")
    depth = float(ds["depth"].values[row])
    return Found(text=f"depth {depth:g} m", right=abs(depth - 0.05) < 1e-6)
