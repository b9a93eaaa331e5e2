"""Further inputs of the kinds of the field benchmark: products, coordinates and layouts of grids (kinds A, C and E)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks import field_inputs as write
from benchmarks.field_cases import DAYS, places
from benchmarks.field_verdicts import Case, Found, Measure, Outcome, at_site, close, every, numbers

AIR, RAIN = "--forcing=era5:air_temperature", "--forcing=era5:precipitation"
ERA5 = "--source=era5=era5"
WARM = [290.0, 291.0, 292.0]
KANSAS = {"a": (39.1, -96.6)}
LAND = r"ERA5.?Land"
DAILY = r"one value (a|per) day|daily (mean|statistic|value)"
MONTHS_OF_2024 = pd.date_range("2024-01-01", periods=12, freq="MS")


def grid_cases() -> list[Case]:
    """Return the cases of kinds A, C and E."""
    return [*_siblings(), *_coordinates(), *_layouts()]


def grid_case(
    kind: str,
    name: str,
    right: str,
    prepare: Callable[[Path], None],
    command: tuple[str, ...],
    measure: Measure | None,
    *,
    sites: dict[str, tuple[float, float]] | None = None,
    **rules: object,
) -> Case:
    """Return a case of one command at the sites of places.csv, which is written before ``prepare`` runs."""

    def inputs(work: Path) -> None:
        write.write_places(work, sites)
        prepare(work)

    return Case(
        kind=kind, name=name, right=right, prepare=inputs, commands=(command,), measure=measure, **rules  # type: ignore[arg-type]
    )  # fmt: skip


def _siblings() -> list[Case]:
    """A: files of another product, grid or step under the expected name."""

    def late(work: Path) -> None:
        write.imerg_day(work / "imerg", "2024-06-01", 5)
        write.imerg_day(work / "imerg", "2024-06-02", 6)
        write.imerg_day(work / "imerg", "2024-06-03", 7, run="-L")

    def smap(work: Path) -> None:
        rows, columns = np.indices((406, 964))
        for k, day in enumerate(("20240601", "20240602", "20240603")):
            values = 0.1 + 0.0001 * (rows + columns) + 0.01 * k
            write.smap_day(work / "smap" / f"SMAP_L3_SM_P_{day}_R19240_001.h5", values)

    def one_degree(work: Path) -> None:
        lat, lon = np.arange(52.0, 47, -1), np.arange(8.0, 13)
        y, x = np.meshgrid(lat, lon, indexing="ij")
        times = write.hours("2024-06-01", "2024-06-03")
        write.era5(
            work / "era5" / "e.nc", {"t2m": np.broadcast_to(200 + y + x, (len(times), 5, 5))}, times, lat, lon
        )

    def ensemble_mean(work: Path) -> None:
        times = pd.date_range("2024-06-01", "2024-06-03 21:00", freq="3h")
        values = 290 + times.hour.to_numpy() / 10
        lat, lon = np.arange(51.0, 49, -0.5), np.arange(9.0, 11, 0.5)
        write.era5(work / "era5" / "era5_2024_06.nc", {"t2m": values}, times, lat, lon)

    def late_and_final(work: Path) -> None:
        for k, day in enumerate(("2024-06-01", "2024-06-02", "2024-06-03")):
            write.imerg_day(work / "imerg", day, 5 + k)
            write.imerg_day(work / "imerg", day, 9, run="-L")

    def early_and_final(work: Path) -> None:
        write.gldas_day(work / "g", "2024-06-01", 25)
        write.gldas_day(work / "g", "2024-06-01", 40, name="NOAH025_3H_EP")

    def rain(accumulated: bool) -> Callable[[Path], None]:
        def prepare(work: Path) -> None:
            times = write.hours("2024-06-01", "2024-06-03")
            hour = np.where(times.hour == 0, 24, times.hour)
            values = 0.0001 * hour if accumulated else np.zeros(len(times))
            write.era5(work / "era5" / "e.nc", {"tp": values}, times)

        return prepare

    def one_hour(hour: int) -> Callable[[Path], None]:
        def prepare(work: Path) -> None:
            times = write.DAYS + pd.Timedelta(hours=hour)
            write.era5(work / "era5" / "era5_2024_06.nc", {"t2m": [290, 291, 292]}, times)

        return prepare

    def daily_maximum(work: Path) -> None:
        write.era5(work / "era5" / "2m_temperature_0_daily-max.nc", {"t2m": [300, 301, 302]}, write.DAYS)

    def land_daily(work: Path) -> None:
        lat, lon = np.arange(50.4, 50.05, -0.1), np.arange(9.5, 10.05, 0.1)
        write.era5(work / "era5" / "2m_temperature_0_daily-mean.nc", {"t2m": WARM}, write.DAYS, lat, lon)

    def one_degree_gldas(work: Path) -> None:
        write.gldas_day(work / "g", "2024-06-01", 25, name="NOAH10_3H", cell=1.0)

    def two_smap_grids(work: Path) -> None:
        write.smap_day(work / "smap" / "SMAP_L3_SM_P_E_20240601_R19240_001.h5", np.full((1624, 3856), 0.2))
        write.smap_day(work / "smap" / "SMAP_L3_SM_P_20240602_R19240_001.h5", np.full((406, 964), 0.3))

    def land_among(work: Path) -> None:
        first, last = (pd.date_range(d, periods=24, freq="h") for d in ("2024-06-30", "2024-07-01"))
        write.era5(work / "era5" / "june.nc", {"t2m": np.full(24, 290.0)}, first)
        lat, lon = np.arange(50.4, 50.05, -0.1), np.arange(9.5, 10.05, 0.1)
        write.era5(work / "era5" / "july.nc", {"t2m": np.full(24, 300.0)}, last, lat, lon)

    smap_right = 0.1 + 0.0001 * sum(_ease36(*write.SITE))
    one = r"\b1(\.0)?[ -]?(degree|°)"
    return [
        grid_case("A", "imerg-late-among-final", "5, 6, 7 mm/d and Late named, or refused", late,
              places(DAYS, "--source=imerg=imerg", "--forcing=imerg:precipitation"),
              close("precipitation", [5, 6, 7], 1e-3), cause=r"\bLate\b", named=(r"\bLate\b",),
              source="https://github.com/dynamical-org/reformatters/issues/465"),
        grid_case("A", "imerg-late-and-final", "5, 6, 7 mm/d of Final", late_and_final,
                  places(DAYS, "--source=imerg=imerg", "--forcing=imerg:precipitation"),
                  close("precipitation", [5, 6, 7], 1e-3)),
        grid_case("A", "gldas-early-and-final", "0.25 m3/m3 of the final product", early_and_final,
                  places("2024-06-01:2024-06-01", "--source=gldas-noah025=g", "--product=gldas-noah025"),
                  close("sm_product", [0.25], 1e-4)),
        grid_case("A", "era5-land-on-0.25-degree", "2.4 mm/d, or the accumulation named", rain(accumulated=True),
                  places(DAYS, ERA5, RAIN), close("precipitation", [2.4] * 3, 0.01), cause=f"{LAND}|accumulat"),
        grid_case("A", "era5-dry-days", "0 mm/d", rain(accumulated=False), places(DAYS, ERA5, RAIN),
                  close("precipitation", [0, 0, 0], 1e-6)),
        grid_case("A", "smap-36-km", f"{smap_right:.4f} and more, 36 km named", smap,
              places(DAYS, "--source=smap-l3e=smap", "--product=smap-l3e"),
              every(close("sm_smap", smap_right + 0.01 * np.arange(3), 1e-4), _grid_of_smap),
              named=(r"M36|36.?km",)),
        grid_case("A", "era5-1-degree", "260 K, 1 degree named", one_degree, places(DAYS, ERA5, AIR),
              close("air_temperature", [260] * 3, 0.01), cause=one, named=(one,)),
        grid_case("A", "era5-ensemble-mean", "291.05 K, or 3-hourly named", ensemble_mean, places(DAYS, ERA5, AIR),
              close("air_temperature", [291.05] * 3, 0.01), cause=r"(3|three).?hour|every 3|8 (values|steps)|8 of 24|ensemble"),
        grid_case("A", "era5-land-daily-statistics", "290, 291, 292 K, ERA5-Land named", land_daily, places(DAYS, ERA5, AIR),
              close("air_temperature", WARM, 0.01), cause=f"{LAND}|{DAILY}", named=(LAND,)),
        *(grid_case("A", f"era5-hour-{hour:02d}-only", "one hour a day is no daily mean", one_hour(hour),
                    places(DAYS, ERA5, AIR), None, cause=f"{DAILY}|1 of 24|one (hour|step)") for hour in (0, 12)),
        grid_case("A", "era5-daily-maximum-for-mean", "a daily maximum is no mean", daily_maximum, places(DAYS, ERA5, AIR), None,
                  cause="max"),
        grid_case("A", "smap-9-and-36-km", "36 km named; 0.2, then 0.3 or missing, or refused", two_smap_grids,
              places("2024-06-01:2024-06-02", "--source=smap-l3e=smap", "--product=smap-l3e"),
              _first_of_two("sm_smap", 0.2, 0.3), cause=r"M36|36.?km", named=(r"M36|36.?km",)),
        grid_case("A", "era5-land-among-era5", "ERA5-Land named; 290 K, then 300 K or missing, or refused", land_among,
              places("2024-06-30:2024-07-01", ERA5, AIR, "--allow-gaps"), _first_of_two("air_temperature", 290, 300),
              cause=LAND, named=(LAND,)),
        grid_case("A", "gldas-1-degree", "0.25, 1 degree named, or refused", one_degree_gldas,
              places("2024-06-01:2024-06-01", "--source=gldas-noah025=g", "--product=gldas-noah025"),
              close("sm_product", [0.25], 1e-4), cause=f"{one}|NOAH10", named=(one,)),
    ]  # fmt: skip


def _coordinates() -> list[Case]:
    """C: coordinates and scaling of the file."""
    lat, lon = 89.75 - 0.5 * np.arange(360), -179.75 + 0.5 * np.arange(720)
    north = np.where(lat > 0, 0.8, 0.2)[:, None] + np.zeros(720)
    stored = {"_FillValue": np.int16(-3000), "valid_range": np.array([-2000, 10000], np.int16)}
    names = [f"MOD13C2.A{t:%Y%j}.061.2024300000000.nc" for t in MONTHS_OF_2024]

    def unscaled(work: Path) -> None:
        for name in names:
            attrs = {"_FillValue": np.float32(-3000)}
            write.ndvi(work / "n" / name, north, lat, lon, attrs=attrs, stored="float32")

    def clipped(work: Path) -> None:
        y, x = 44.975 - 0.05 * np.arange(300), -109.975 + 0.05 * np.arange(600)
        values = 10_000 * (0.3 + 0.01 * (y[:, None] - 30) + 0.01 * (x + 110))
        for name in names:
            write.ndvi(work / "n" / name, values, y, x, attrs=stored)

    def divisor(work: Path) -> None:
        for name in names:
            attrs = stored | {"scale_factor": 10000.0, "add_offset": 0.0}
            write.ndvi(work / "n" / name, 10_000 * north, lat, lon, attrs=attrs)

    def rioxarray(work: Path) -> None:
        for name in names:
            attrs = stored | {"scale_factor": 0.0001, "add_offset": 0.0}
            write.ndvi(work / "n" / name, 10_000 * north, lat, lon, axes=("y", "x"), attrs=attrs)

    slope = np.where(np.arange(20)[:, None] < 10, 45, 15) + np.zeros((20, 20), int)

    def scaled(work: Path) -> None:
        write.geotiff(work / "t" / "slope_10KMmd_GMTEDmd.tif", slope.astype(np.int16), 8, 52, 0.2, scale=0.1)

    def south_up(work: Path) -> None:
        write.geotiff(
            work / "t" / "slope_10KMmd_GMTEDmd.tif",
            (slope / 10).astype(np.float32),
            8,
            52,
            0.2,
            south_up=True,
        )

    def beyond_360(work: Path) -> None:
        times = write.hours("2024-06-01", "2024-06-03")
        x = np.arange(357, 363.1, 0.25)
        values = np.broadcast_to(np.where(x < 360, 290, 300), (len(times), 3, len(x)))
        write.era5(work / "era5" / "greenwich.nc", {"t2m": values}, times, lon=x)

    def two_packings(work: Path) -> None:
        for name, first, value in (("june", "2024-06-30", 290.0), ("july", "2024-07-01", 295.0)):
            times = pd.date_range(first, periods=24, freq="h")
            stamps = (times - pd.Timestamp("1900-01-01")) // pd.Timedelta("1h")
            ds = xr.Dataset(
                {"t2m": (("time", "latitude", "longitude"), np.full((24, 3, 3), value), {"units": "K"})},
                coords={"time": ("time", stamps.astype("int32"), {"units": "hours since 1900-01-01", "calendar": "gregorian"}),
                        "latitude": write.LAT.astype("f4"), "longitude": write.LON.astype("f4")},
            )  # fmt: skip
            packing = {"dtype": "int16", "scale_factor": 0.001, "add_offset": value + 2, "_FillValue": -32767}
            (work / "era5").mkdir(exist_ok=True)
            ds.to_netcdf(work / "era5" / f"{name}.nc", engine="scipy", encoding={"t2m": packing})

    def dateline(work: Path) -> None:
        times = write.hours("2024-06-01", "2024-06-03")
        x = np.arange(178, 182.1, 0.25)
        values = np.broadcast_to(np.where(x < 180, 290, 300), (len(times), 3, len(x)))
        write.era5(work / "era5" / "fiji.nc", {"t2m": values}, times, lon=x)

    year = "2024-01-01:2024-12-31"
    mod = ("--source=mod13c2=n", "--attribute=mod13c2")
    terrain = ("--source=amatulli-topography=t", "--attribute=amatulli-topography:slope")
    right = 0.3 + 0.01 * 9.1 + 0.01 * 13.4
    east_west = {"west": (50.25, -1.0), "east": (50.25, 1.0)}
    return [
        grid_case("C", "ndvi-unscaled", "0.8", unscaled, places(year, *mod), close("ndvi", 0.8, 1e-3), sites=KANSAS,
              cause="scale|index"),
        grid_case("C", "ndvi-box-of-2-to-1", f"{right:.3f}, or the box refused", clipped, places(year, *mod),
              close("ndvi", right, 2e-3), sites=KANSAS, cause="box|subset|global|extent|cover"),
        grid_case("C", "ndvi-scale-factor-10000", "0.8", divisor, places(year, *mod), close("ndvi", 0.8, 1e-3), sites=KANSAS),
        grid_case("C", "ndvi-rioxarray", "0.8", rioxarray, places(year, *mod), close("ndvi", 0.8, 1e-3), sites=KANSAS,
              cause="scale|axes|dimension"),
        grid_case("C", "terrain-band-scale", "4.5 degree", scaled, places(DAYS, *terrain), close("slope", 4.5, 1e-3),
              sites={"a": (51.1, 9.1)}, cause="scale", source="https://github.com/rasterio/rasterio/issues/2219"),
        grid_case("C", "terrain-south-up", "4.5 degree", south_up, places(DAYS, *terrain), close("slope", 4.5, 1e-3),
              sites={"a": (51.1, 9.1)}, cause="south|north.?up|gdalwarp"),
        grid_case("C", "era5-longitudes-beyond-360", "west 290 K, east 300 K", beyond_360, places(DAYS, ERA5, AIR),
              every(*(close("air_temperature", [x] * 3, 0.01, site=s) for s, x in (("west", 290), ("east", 300)))),
              sites=east_west, cause=r"^(?!.*swapped).*longitude.*36[0-9]",
              source="https://github.com/ecmwf/cfgrib/issues/388"),
        grid_case("C", "era5-across-the-dateline", "west 290 K, east 300 K", dateline, places(DAYS, ERA5, AIR),
              every(*(close("air_temperature", [x] * 3, 0.01, site=s) for s, x in (("west", 290), ("east", 300)))),
              sites={"west": (50.25, 179.0), "east": (50.25, -179.0)}),
        grid_case("C", "era5-two-packings", "290, 295 K", two_packings, places("2024-06-30:2024-07-01", ERA5, AIR),
              close("air_temperature", [290, 295], 0.01)),
    ]  # fmt: skip


def _layouts() -> list[Case]:
    """E: dimensions and coordinates that the reader was not written for."""
    times = write.hours("2024-06-01", "2024-06-03")

    def point(work: Path) -> None:
        path = work / "era5" / "point.nc"
        ds = write.era5(path, {"t2m": write.steady(times)}, times)
        write.save(ds.sel(latitude=50.25, longitude=9.75), path)

    def one_cell(work: Path) -> None:
        write.era5(work / "era5" / "cell.nc", {"t2m": write.steady(times)}, times, [50.25], [9.75])

    def height(work: Path) -> None:
        path = work / "era5" / "from_grib.nc"
        ds = write.era5(path, {"t2m": write.steady(times)}, times)
        write.save(ds.expand_dims({"heightAboveGround": [2.0]}, axis=1), path)

    def curvilinear(work: Path) -> None:
        path = work / "era5" / "projected.nc"
        ds = write.era5(path, {"t2m": write.steady(times)}, times)
        y, x = np.meshgrid(write.LAT, write.LON, indexing="ij")
        ds = ds.rename({"latitude": "y", "longitude": "x"}).drop_vars(["y", "x"])
        ds = ds.assign_coords({"latitude": (("y", "x"), y), "longitude": (("y", "x"), x)})
        write.save(ds, path)

    def versions(work: Path) -> None:
        path = work / "era5" / "mixed.nc"
        ds = write.era5(path, {"t2m": write.steady(times)}, times).drop_vars("expver")
        final = ds.where(ds["t2m"] < 291)
        both = xr.concat([final, ds.where(ds["t2m"] >= 291)], pd.Index(["0001", "0005"], name="expver"))
        write.save(both.transpose("valid_time", "expver", "latitude", "longitude"), path)

    def dates(work: Path) -> None:
        path = work / "era5" / "monthly.nc"
        months = pd.date_range("2023-01-01", "2024-12-01", freq="MS")
        ds = write.era5(path, {"tp": np.full(24, 0.003)}, months, time="date")
        ds = ds.assign_coords(
            {"date": ("date", months.strftime("%Y%m%d").astype(int), {"long_name": "date"})}
        )
        write.save(ds.drop_vars("expver"), path)

    warm = close("air_temperature", WARM, 0.01)
    build = places(DAYS, ERA5, AIR)
    return [
        grid_case("E", "era5-point-series", "290, 291, 292 K", point, build, warm,
              cause=r"(latitude|longitude).*(dimension|point|one)"),
        grid_case("E", "era5-one-cell", "290, 291, 292 K", one_cell, build, warm, cause="one (cell|row)|single|1 x 1"),
        grid_case("E", "era5-height-dimension", "290, 291, 292 K", height, build, warm, cause="heightAboveGround"),
        grid_case("E", "era5-curvilinear", "290, 291, 292 K, or two-dimensional coordinates named", curvilinear, build, warm,
              cause=r"two.?dimensional|\(y, x\)|2-?D|(2|two) dimensions"),
        grid_case("E", "era5-expver-strings", "290, 291, 292 K", versions, build, warm, cause="expver",
              source="https://github.com/PyPSA/atlite/issues/190"),
        grid_case("E", "era5-date-dimension", "3 mm/d, or 'date' or monthly named", dates,
              places("2023-01-01:2024-12-31", ERA5, "--attribute=era5:precipitation"), close("mean_precipitation", 3, 0.01),
              cause=r"'date'|\bmonthly\b", source="https://github.com/linjonathan/tropical_cyclone_risk/issues/2"),
    ]  # fmt: skip


def _grid_of_smap(outcome: Outcome) -> Found:
    grid = str(outcome.dataset()["sm_smap"].attrs.get("grid", ""))
    return Found(text=f"grid {grid}", right=bool(re.fullmatch("M36", grid)))


def _first_of_two(name: str, first: float, second: float) -> Measure:
    """Return a measure of two days: the first value, then the second or none."""

    def measure(outcome: Outcome) -> Found:
        values = at_site(outcome.dataset(), name, None)
        right = abs(values[0] - first) < 1e-3 and (np.isnan(values[1]) or abs(values[1] - second) < 1e-3)
        return Found(text=numbers(values), right=bool(right))

    return measure


def _ease36(lat: float, lon: float) -> tuple[int, int]:
    """Return row and column of EASE-Grid 2.0 at 36 km (Brodzik et al. 2012, doi:10.3390/ijgi1010032)."""
    a, e, parallel, size = 6378137.0, 0.0818191908426, np.radians(30), 36032.220840584
    s = np.sin(np.radians(lat))
    k0 = np.cos(parallel) / np.sqrt(1 - e**2 * np.sin(parallel) ** 2)
    q = (1 - e**2) * (s / (1 - e**2 * s**2) - np.log((1 - e * s) / (1 + e * s)) / (2 * e))
    x, y = a * k0 * np.radians(lon), a * q / (2 * k0)
    return int((7307375.92 - y) // size), int((x + 17367530.45) // size)
