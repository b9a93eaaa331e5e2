"""Further inputs of the kinds of the field benchmark: names of files and gaps (kinds F and G), and the list of all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import field_inputs as write
from benchmarks.field_cases import DAYS, places
from benchmarks.field_more_grids import (
    AIR,
    ERA5,
    KANSAS,
    MONTHS_OF_2024,
    RAIN,
    WARM,
    grid_case,
    grid_cases,
)
from benchmarks.field_more_stations import station_cases, table_cases
from benchmarks.field_verdicts import Case, close, every

_PERIOD = "2024-06-29:2024-07-02"


def more_cases() -> list[Case]:
    """Return all cases whose inputs code writes."""
    return [*grid_cases(), *_boxes(), *_names(), *_gaps(), *station_cases(), *table_cases()]


def _boxes() -> list[Case]:
    """E and H: axes and boxes of one source."""
    times = write.hours("2024-06-01", "2024-06-03")
    warm = close("air_temperature", WARM, 0.01)

    def rounded(work: Path) -> None:
        for name, days, error in (("june", "2024-06-30", 0.0), ("july", "2024-07-01", 3e-6)):
            labels = pd.date_range(days, periods=24, freq="h")
            values = np.full(24, 290.0 if name == "june" else 291.0)
            write.era5(
                work / "era5" / f"{name}.nc", {"t2m": values}, labels, write.LAT + error, write.LON - error
            )

    def y_and_x(work: Path) -> None:
        path = work / "era5" / "rioxarray.nc"
        ds = write.era5(path, {"t2m": write.steady(times)}, times)
        write.save(ds.rename({"latitude": "y", "longitude": "x"}), path)

    def backwards(work: Path) -> None:
        path = work / "era5" / "reversed.nc"
        ds = write.era5(path, {"t2m": write.steady(times)}, times)
        write.save(ds.isel(valid_time=slice(None, None, -1)), path)

    def shared_hour(work: Path) -> None:
        for first, last in (("2024-06-01", "2024-06-01"), ("2024-06-02", "2024-06-03")):
            labels = write.hours(first, last)
            write.era5(
                work / "era5" / f"{first}.nc",
                {"t2m": 290 + np.asarray((labels.normalize() - write.DAYS[0]).days, float)},
                labels,
            )

    def beyond_360(work: Path) -> None:
        x = np.arange(357.05, 363, 0.1)
        for k, day in enumerate(("2024-06-01", "2024-06-02", "2024-06-03")):
            write.imerg_day(work / "imerg", day, 5 + k, lon=x)

    def inside(work: Path) -> None:
        write.era5(work / "era5" / "e.nc", {"t2m": write.steady(times)}, times)

    build = places(DAYS, ERA5, AIR)
    two = {"a": write.SITE, "far": (39.1, -96.6)}
    return [
        grid_case("E", "era5-rounded-coordinates", "290, 291 K", rounded, places("2024-06-30:2024-07-01", ERA5, AIR),
                  close("air_temperature", [290, 291], 0.01)),
        grid_case("E", "era5-axes-y-x", "290, 291, 292 K, or the axes named", y_and_x, build, warm, cause=r"\by\b.*\bx\b"),
        grid_case("E", "era5-times-reversed", "290, 291, 292 K", backwards, build, warm),
        grid_case("E", "era5-hour-in-two-files", "290, 291, 292 K", shared_hour, build, warm, cause="two files"),
        grid_case("C", "imerg-longitudes-beyond-360", "5, 6, 7 mm/d", beyond_360,
                  places(DAYS, "--source=imerg=imerg", "--forcing=imerg:precipitation"),
                  close("precipitation", [5, 6, 7], 1e-3), sites={"west": (50.25, -1.0)},
                  cause=r"^(?!.*swapped).*longitude.*36[0-9]"),
        grid_case("H", "era5-site-outside-the-box", "a 290, 291, 292 K; far named, or refused by name", inside, build,
                  close("air_temperature", WARM, 0.01, site="a"), sites=two, cause=r"\bfar\b",
                  named=(r"\bfar\b",)),
    ]  # fmt: skip


def _names() -> list[Case]:
    """F: names of distributors, browsers and services."""

    def gldas(tail: str) -> Callable[[Path], None]:
        return lambda work: write.gldas_day(work / "g", "2024-06-01", 25, tail=tail)

    def half_hours(work: Path) -> None:
        write.imerg_half_hours(work / "imerg", "2024-06-01", 0.5)

    def half_hours_v06(work: Path) -> None:
        write.imerg_half_hours(work / "imerg", "2024-06-01", 0.5, "V06B.HDF5.nc4", name="precipitationCal")

    def query_names(work: Path) -> None:
        # The name that wget gives a file of GES DISC's subsetter if none is requested.
        gldas(".021.nc4")(work)
        for path in list((work / "g").iterdir()):
            folder = "%2Fdata%2FGLDAS%2FGLDAS_NOAH025_3H.2.1%2F2024%2F153%2F"
            rest = (
                f"&FORMAT=bmM0Lw&BBOX=48%2C8%2C52%2C12&LABEL={path.name}.SUB.nc4&SHORTNAME=GLDAS_NOAH025_3H"
            )
            path.rename(path.with_name(f"HTTP_services.cgi?FILENAME={folder}{path.name}{rest}"))

    def browser(work: Path) -> None:
        for k, day in enumerate(("2024-06-01", "2024-06-02", "2024-06-03")):
            write.imerg_day(work / "imerg", day, 5 + k, tail=" (1).nc4" if k == 1 else ".nc4")

    def hegout(work: Path) -> None:
        from gsm3core.geography.grids import cell_centres

        lat, lon = cell_centres("M09")
        corner = int(np.abs(lat - 51).argmin()), int(np.abs(lon - 9).argmin())
        for day in ("20240601", "20240602", "20240603"):
            path = work / "smap" / f"SMAP_L3_SM_P_E_{day}_R19240_001_HEGOUT.h5"
            write.smap_day(path, np.full((20, 20), 0.3), corner=corner)

    def nc4(work: Path) -> None:
        times = write.hours("2024-06-01", "2024-06-03")
        write.era5(work / "era5" / "era5_2024_06.nc4", {"t2m": write.steady(times)}, times)

    def hdf_nc4(work: Path) -> None:
        lat, lon = 89.75 - 0.5 * np.arange(360), -179.75 + 0.5 * np.arange(720)
        values = 10_000 * np.where(lat > 0, 0.8, 0.2)[:, None] + np.zeros(720)
        for t in MONTHS_OF_2024:
            path = work / "n" / f"MOD13C2.A{t:%Y%j}.061.2024300000000.hdf.nc4"
            write.ndvi(path, values, lat, lon, attrs={"_FillValue": np.int16(-3000)})

    noah = places("2024-06-01:2024-06-01", "--source=gldas-noah025=g", "--product=gldas-noah025")
    imerg = ("--source=imerg=imerg", "--forcing=imerg:precipitation")
    water = close("sm_product", [0.25], 1e-4)
    return [
        grid_case("F", "gldas-opendap", "0.25 m3/m3", gldas(".021.nc4.dap.nc4"), noah, water, cause=r"\.dap", refusal=False),
        grid_case("F", "gldas-subset-2.0", "0.25 m3/m3", gldas(".020.nc4.SUB.nc4"), noah, water, cause=r"\.SUB", refusal=False),
        grid_case("F", "gldas-opendap-classic-service", "0.25 m3/m3", gldas(".021.nc4.nc4"), noah, water, cause=r"\.nc4\.nc4",
                  refusal=False),
        grid_case("F", "gldas-query-in-the-name", "0.25 m3/m3, or the name explained", query_names, noah, water,
                  cause=r"renam|HTTP_services"),
        grid_case("F", "imerg-half-hours-v06-opendap", "12 mm/d", half_hours_v06, places("2024-06-01:2024-06-01", *imerg),
                  close("precipitation", [12], 1e-3), cause=r"HDF5\.nc4|group", refusal=False),
        grid_case("F", "imerg-half-hours-opendap", "12 mm/d", half_hours, places("2024-06-01:2024-06-01", *imerg),
              close("precipitation", [12], 1e-3), cause=r"\.dap|group", refusal=False),
        grid_case("F", "imerg-browser-copy", "5, 6, 7 mm/d", browser, places(DAYS, *imerg),
              close("precipitation", [5, 6, 7], 1e-3), cause=r"\(1\)"),
        grid_case("F", "smap-hegout-box", "0.3, or the subset named", hegout,
              places(DAYS, "--source=smap-l3e=smap", "--product=smap-l3e"), close("sm_smap", [0.3] * 3, 1e-4),
              cause="subset|clip|part of the (grid|map)"),
        grid_case("F", "era5-nc4", "290, 291, 292 K", nc4, places(DAYS, ERA5, AIR), close("air_temperature", WARM, 0.01),
              cause=r"\.nc4\b.*suffix|suffix", refusal=False),
        grid_case("F", "ndvi-opendap", "0.8", hdf_nc4,
              places("2024-01-01:2024-12-31", "--source=mod13c2=n", "--attribute=mod13c2"),
              close("ndvi", 0.8, 1e-3), sites=KANSAS, cause=r"\.hdf\.nc4", refusal=False),
    ]  # fmt: skip


def _gaps() -> list[Case]:
    """G: missing files."""
    june, july = (write.hours(*x) for x in (("2024-06-29", "2024-06-30"), ("2024-07-01", "2024-07-02")))
    rain = {"tp": [0.0001]}
    nan = [np.nan] * 2

    def months(*without: str) -> Callable[[Path], None]:
        def prepare(work: Path) -> None:
            for month, times in (("06", june), ("07", july)):
                for kind, values in (("instant", {"t2m": np.full(len(times[:-1]), 290.0)}), ("accum", rain)):
                    if f"{month}-{kind}" not in without:
                        write.era5(
                            work / "era5" / month / f"data_stream-oper_stepType-{kind}.nc", values, times[:-1]
                        )

        return prepare

    def one_day(work: Path) -> None:
        write.imerg_day(work / "imerg", "2024-06-01", 5)
        write.imerg_day(work / "imerg", "2024-06-03", 7)

    def product(work: Path) -> None:
        write.gldas_day(work / "g", "2024-06-30", 25)

    def two_sources(work: Path) -> None:
        months()(work)
        for day in ("2024-06-29", "2024-06-30"):
            write.imerg_day(work / "imerg", day, 5)

    def half_a_day(work: Path) -> None:
        times = pd.date_range("2024-06-01", "2024-06-03 11:00", freq="h")
        write.era5(work / "era5" / "e.nc", {"t2m": write.steady(times)}, times)

    def lacks(name: str, n: int, of: int) -> str:
        return rf"{name}[^.]*\b{n} of (the )?{of} days"

    both = "--forcing=era5:air_temperature,precipitation"
    imerg = ("--source=imerg=imerg", "--forcing=imerg:precipitation")
    rainy = close("precipitation", [2.4, 2.4, *nan], 0.01)
    return [
        grid_case("G", "era5-instant-missing", "air_temperature lacks 2 of 4 days", months("07-instant"),
              places(_PERIOD, ERA5, both), None, cause=lacks("air_temperature", 2, 4)),
        grid_case("G", "era5-instant-missing --allow-gaps", "290 K in June, missing in July; 2.4 mm/d", months("07-instant"),
              places(_PERIOD, ERA5, both, "--allow-gaps"),
              every(close("air_temperature", [290, 290, *nan], 0.01), close("precipitation", [2.4] * 4, 0.01)),
              cause=lacks("air_temperature", 2, 4), refusal=False),
        grid_case("G", "era5-accum-missing alone", "precipitation lacks 2 of 4 days", months("07-accum"),
              places(_PERIOD, ERA5, RAIN), None, cause=lacks("precipitation", 2, 4)),
        grid_case("G", "era5-accum-missing two --forcing --allow-gaps", "2.4 mm/d in June, missing in July",
              months("07-accum"), places(_PERIOD, ERA5, AIR, RAIN, "--allow-gaps"), rainy,
              cause=lacks("precipitation", 2, 4), refusal=False),
        grid_case("G", "era5-both-with-gaps", "air_temperature and precipitation named", months("06-instant", "07-accum"),
                  places(_PERIOD, ERA5, both), None,
                  cause=rf"(?=.*{lacks('air_temperature', 2, 4)}).*{lacks('precipitation', 2, 4)}"),
        grid_case("G", "era5-half-a-day", "lacks 1 of 3 days, 2024-06-03", half_a_day, places(DAYS, ERA5, AIR), None,
                  cause=lacks("air_temperature", 1, 3) + ".*2024-06-03"),
        grid_case("G", "imerg-one-day-missing", "lacks 1 of 3 days, 2024-06-02", one_day, places(DAYS, *imerg), None,
              cause=lacks("precipitation", 1, 3) + ".*2024-06-02"),
        grid_case("G", "imerg-one-day-missing --allow-gaps", "5, missing, 7 mm/d", one_day,
              places(DAYS, *imerg, "--allow-gaps"), close("precipitation", [5, np.nan, 7], 1e-3), refusal=False),
        grid_case("G", "gldas-product-ends", "0.25, then missing", product,
              places("2024-06-30:2024-07-01", "--source=gldas-noah025=g", "--product=gldas-noah025"),
              close("sm_product", [0.25, np.nan], 1e-4), refusal=False),
        grid_case("G", "two-sources-one-short", "precipitation of imerg lacks 2 of 4 days", two_sources,
              places(_PERIOD, ERA5, AIR, *imerg), None, cause="imerg.*" + lacks("precipitation", 2, 4)),
    ]  # fmt: skip
