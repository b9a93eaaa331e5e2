"""Synthetic source files in the producers' layouts: every value is a formula of cell and time."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image, TiffImagePlugin

DAYS = pd.date_range("2015-04-01", "2015-04-06")
# North, south, and in the 10-degree cell centred on longitude 180.
SITES = {"north": (50.2, 10.1), "south": (-33.4, 147.3), "edge": (10.6, -179.2)}


def write_all(root: Path) -> None:
    """Write every source into a folder of its own."""
    for name, write in {
        "ismn": ismn, "era5": era5, "gldas-noah025": gldas, "smap-l3e": smap, "amsr2-lprm": lprm, "somo-ml": somo,
        "hwsd": hwsd, "amatulli-topography": terrain,
    }.items():  # fmt: skip
        (root / name).mkdir(parents=True)
        write(root / name)


def ismn(root: Path) -> None:
    """Hourly: day k of a station is 0.1 + 0.01 k at every hour; the third day of ``north`` is flagged."""
    for name, (lat, lon) in SITES.items():
        folder = root / "NET" / name
        folder.mkdir(parents=True)
        lines = [f"NET        NET        {name}  {lat:.5f}  {lon:.5f}  100.00  0.05  0.05 Probe"]
        for k, day in enumerate(DAYS):
            flag = "D01" if name == "north" and k == 2 else "G"
            lines += [f"{day:%Y/%m/%d} {h:02d}:00 {0.1 + 0.01 * k:8.4f} {flag} M" for h in range(24)]
        path = folder / f"NET_NET_{name}_sm_0.050000_0.050000_Probe_20150401_20150406.stm"
        path.write_text("\n".join(lines) + "\n")


def cell10(lat: float, lon: float) -> tuple[int, int]:
    """Centre of the 10-degree cell of the planted ERA5 at a location; longitude 0 to 350."""
    return 10 * round(lat / 10), 10 * round((lon % 360) / 10) % 360


def era5_air(lat: float, lon: float, day: int, hour: float) -> float:
    """Air temperature, K: decreases poleward, increases with longitude, day and hour."""
    return 290 - 0.2 * abs(lat) + 0.01 * lon + day + 0.1 * hour


def era5_rain(lat: float, lon: float, day: int) -> float:
    """Daily precipitation, mm."""
    return 1 + 0.1 * day + 0.01 * lon + 0.02 * (lat + 90)


def era5(root: Path) -> None:
    """The CDS layout since 2024: longitudes 0-350, latitudes descending, accumulations labelled at their end."""
    lat, lon = np.arange(90.0, -91, -10), np.arange(0.0, 360, 10)
    y, x = np.meshgrid(lat, lon, indexing="ij")
    times = pd.date_range(DAYS[0], DAYS[-1] + pd.Timedelta(days=1), freq="h")
    instant = np.stack([era5_air(y, x, (t - DAYS[0]).days, t.hour) for t in times])
    starts = [t - pd.Timedelta(hours=1) for t in times]
    hourly = np.stack([era5_rain(y, x, (t - DAYS[0]).days) / 24 / 1000 for t in starts])
    for name, variable, values, units in (
        ("instant", "t2m", instant, "K"),
        ("accum", "tp", hourly, "m"),
    ):
        seconds = (times - pd.Timestamp(0)) // pd.Timedelta("1s")
        xr.Dataset(
            {variable: (("valid_time", "latitude", "longitude"), values.astype(np.float32), {"units": units})},
            coords={
                "valid_time": ("valid_time", seconds, {"units": "seconds since 1970-01-01"}),
                "latitude": lat, "longitude": lon, "number": ((), 0),
            },
        ).to_netcdf(root / f"data_stream-oper_stepType-{name}.nc", engine="h5netcdf")  # fmt: skip


def gldas_water(lat: float, lon: float, day: int, hour: int) -> float:
    """Water of the top 100 mm, kg m-2."""
    return 10 + 0.1 * lat + 0.01 * lon + day + 0.1 * hour


def gldas(root: Path, days: pd.DatetimeIndex = DAYS) -> None:
    """Eight files per day on a 5-degree grid; -9999 over the sea (here: north of 70)."""
    lat, lon = np.arange(-57.5, 90, 5), np.arange(-177.5, 180, 5)
    y, x = np.meshgrid(lat, lon, indexing="ij")
    for t in pd.date_range(days[0], days[-1] + pd.Timedelta(hours=21), freq="3h"):
        water = np.where(y > 70, -9999, gldas_water(y, x, (t - DAYS[0]).days, t.hour))
        minutes = (t - pd.Timestamp("2000-01-01T03")) / pd.Timedelta("1min")
        xr.Dataset(
            {"SoilMoi0_10cm_inst": (("time", "lat", "lon"), water[None].astype(np.float32),
                                    {"units": "kg m-2", "_FillValue": np.float32(-9999)})},
            coords={"time": ("time", [minutes], {"units": "minutes since 2000-01-01 03:00:00"}),
                    "lat": lat.astype(np.float32), "lon": lon.astype(np.float32)},
        ).to_netcdf(root / f"GLDAS_NOAH025_3H.A{t:%Y%m%d.%H%M}.021.nc4", engine="h5netcdf")  # fmt: skip


def ease36(lat: float, lon: float) -> tuple[int, int]:
    """Row and column of EASE-Grid 2.0 at 36 km, by the formulas of the projection (Brodzik et al. 2012)."""
    a, e, parallel = 6378137.0, 0.0818191908426, np.radians(30)
    s = np.sin(np.radians(lat))
    k0 = np.cos(parallel) / np.sqrt(1 - e**2 * np.sin(parallel) ** 2)
    q = (1 - e**2) * (s / (1 - e**2 * s**2) - np.log((1 - e * s) / (1 + e * s)) / (2 * e))
    x, y = a * k0 * np.radians(lon), a * q / (2 * k0)
    size = 36032.220840584
    return int((7307375.92 - y) // size), int((x + 17367530.45) // size)


def smap(root: Path) -> None:
    """Morning maps at 36 km: cell (r, c) holds 0.1 + 0.0001 (r + c) + 0.01 day; odd days are not recommended in the south."""
    r, c = np.meshgrid(np.arange(406), np.arange(964), indexing="ij")
    for k, day in enumerate(DAYS):
        with h5py.File(root / f"SMAP_L3_SM_P_{day:%Y%m%d}_R18290_001.h5", "w") as file:
            group = file.create_group("Soil_Moisture_Retrieval_Data_AM")
            sm = group.create_dataset(
                "soil_moisture", data=np.float32(0.1 + 0.0001 * (r + c) + 0.01 * k), compression="gzip"
            )
            sm.attrs.update({"_FillValue": np.float32(-9999), "units": np.bytes_("cm**3/cm**3")})
            flag = np.where((r > 203) & (k % 2 == 1), 1, 0).astype(np.uint16)
            bits = group.create_dataset("retrieval_qual_flag", data=flag, compression="gzip")
            bits.attrs["_FillValue"] = np.uint16(65534)


def lprm(root: Path) -> None:
    """Percent in 16 bits, (Longitude, Latitude): 20 + day everywhere."""
    for k, day in enumerate(DAYS):
        xr.Dataset(
            {"soil_moisture_x": (("Longitude", "Latitude"), np.full((36, 18), 20.0 + k), {"units": "percent"})},
            coords={"Longitude": np.arange(-175.0, 180, 10), "Latitude": np.arange(85.0, -90, -10)},
        ).to_netcdf(
            root / f"LPRM-AMSR2_L3_DS_A_SOILM3_V001_{day:%Y%m%d}010815.nc4", engine="h5netcdf",
            encoding={"soil_moisture_x": {"dtype": "int16", "_FillValue": -32768}},
        )  # fmt: skip


def somo(root: Path) -> None:
    """One file per year: 0.3 + 0.001 day of the year (from 0)."""
    days = np.arange(120)
    first = int((np.datetime64("2015-01-01") - np.datetime64("2000-01-01")).astype(int))
    values = np.float32(0.3 + 0.001 * days)[:, None, None] + np.zeros((1, 18, 36), np.float32)
    xr.Dataset(
        {"layer1": (("time", "lat", "lon"), values, {"units": "m3/m3", "_FillValue": np.float32(-9999)})},
        coords={"time": ("time", first + days, {"units": "days since 2000-01-01 00:00:00"}),
                "lat": np.arange(85.0, -90, -10), "lon": np.arange(5.0, 360, 10)},
    ).to_netcdf(root / "SoMo.ml_v1_layer1_2015.nc", engine="h5netcdf")  # fmt: skip


def hwsd(root: Path) -> None:
    """Percent by weight: sand 40 in the north, 60 in the south."""
    lat, lon = np.arange(-85.0, 90, 10), np.arange(-175.0, 180, 10)
    north = np.broadcast_to((lat > 0)[:, None], (18, 36))
    for name, values in (
        ("SAND", np.where(north, 40, 60)),
        ("SILT", np.where(north, 40, 20)),
        ("CLAY", 20 + 0 * north),
    ):
        xr.Dataset(
            {f"T_{name}": (("lat", "lon"), values.astype(np.float32), {"units": "% weight", "missing_value": np.float32(-1)})},
            coords={"lat": lat, "lon": lon},
        ).to_netcdf(root / f"T_{name}.nc4", engine="h5netcdf")  # fmt: skip


def terrain(root: Path) -> None:
    """Aspect cosine 0.5 (north-facing) everywhere."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, kind, value in (
        (33550, 12, (10.0, 10.0, 0.0)), (33922, 12, (0.0, 0.0, 0.0, -180.0, 90.0, 0.0)),
        (34735, 3, (1, 1, 0, 2, 1024, 0, 1, 2, 1025, 0, 1, 1)), (42113, 2, "-9999"),
    ):  # fmt: skip
        tags.tagtype[tag] = kind
        tags[tag] = value
    values = np.full((18, 36), 0.5, np.float32)
    Image.fromarray(values).save(
        root / "aspectcosine_10KMmd_GMTEDmd.tif", tiffinfo=tags, compression="tiff_adobe_deflate"
    )
