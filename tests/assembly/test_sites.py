"""Building and joining SiteDatasets from real files and files of the same layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gsm3core.assembly.sites import build, join
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers import make_reader
from gsm3core.schema import attribute_names, check_dataset, forcing_names, open_dataset, save_dataset
from support.small_world import make_dataset


@pytest.fixture(scope="module")
def conus(real_data: Path) -> xr.Dataset:
    return build("conus-smap", real_data / "smap_conus330.nc")


@pytest.fixture(scope="module")
def uscrn(real_data: Path) -> xr.Dataset:
    return build("uscrn", real_data / "uscrn2020_87.nc")


@pytest.mark.real_data
def test_conus_smap_keeps_every_value(conus: xr.Dataset, real_data: Path) -> None:
    with xr.open_dataset(real_data / "smap_conus330.nc", engine="h5netcdf") as raw:
        np.testing.assert_array_equal(conus.sm_smap, raw.smap_am)
        np.testing.assert_array_equal(conus.precipitation, raw.precip)
        np.testing.assert_allclose(conus.clay, raw.static_clay / 100, rtol=1e-6)
        np.testing.assert_allclose(conus.mean_air_temperature, raw.era5_clim_t2m + 273.15, rtol=1e-6)
        np.testing.assert_array_equal(conus.site.values.astype(str), raw.site.values)
    assert conus.sm_smap.attrs["grid"] == "M36"
    assert "non-commercial" in conus.attrs["license"].lower()


@pytest.mark.real_data
def test_uscrn_units_are_converted(uscrn: xr.Dataset, real_data: Path) -> None:
    with xr.open_dataset(real_data / "uscrn2020_87.nc", engine="h5netcdf") as raw:
        np.testing.assert_array_equal(uscrn.sm_insitu, raw.sm)
        np.testing.assert_allclose(uscrn.air_temperature, raw.t2m_mean + 273.15, rtol=1e-6)
        # 1 MJ m-2 day-1 is 11.574 W m-2 (FAO-56, table 3).
        np.testing.assert_allclose(uscrn.shortwave_down, raw.swdown * 11.574, rtol=1e-4)
        np.testing.assert_allclose(uscrn.relative_humidity, raw.rh / 100, rtol=1e-6)
    assert set(uscrn.region.values) <= {"CONUS", "Alaska"}


@pytest.mark.real_data
def test_join_keeps_all_sites_and_shared_inputs(conus: xr.Dataset, uscrn: xr.Dataset, tmp_path: Path) -> None:
    joined = join(conus, uscrn)
    assert forcing_names(joined) == ["air_temperature", "precipitation", "shortwave_down"]
    assert joined.sizes["site"] == conus.sizes["site"] + uscrn.sizes["site"]
    assert joined.sizes["time"] == 2102
    subset = joined.sel(site=uscrn.site, time=uscrn.time)
    np.testing.assert_array_equal(subset.sm_insitu, uscrn.sm_insitu)
    np.testing.assert_array_equal(subset.precipitation, uscrn.precipitation)
    assert subset.sm_smap.isnull().all()
    conus_subset = joined.sel(site=conus.site, time=conus.time)
    np.testing.assert_array_equal(conus_subset.sm_smap, conus.sm_smap)
    assert int(joined.sm_smap.notnull().sum()) == int(conus.sm_smap.notnull().sum()), "no value is added"
    assert "NLDAS-2" in joined.precipitation.attrs["source"]
    assert "USCRN" in joined.precipitation.attrs["source"]
    steps = json.loads(joined.attrs["history"])
    assert [s["step"] for s in steps] == ["build", "build", "join"]
    assert "wind_u" in steps[2]["only_in"]["first"]
    save_dataset(joined, tmp_path / "joined.zarr")


def test_stores_with_different_chunks_can_be_joined(dataset: xr.Dataset, tmp_path: Path) -> None:
    other = make_dataset(seed=1).assign_coords(site=[f"T{i}" for i in range(12)])
    for name, part, days in (("one", dataset, 100), ("two", other, 70)):
        save_dataset(part.chunk(site=5, time=days), tmp_path / f"{name}.zarr")
    parts = [open_dataset(tmp_path / f"{name}.zarr") for name in ("one", "two")]
    assert parts[0].precipitation.chunks != parts[1].precipitation.chunks
    save_dataset(join(*parts), tmp_path / "joined.zarr")
    joined = open_dataset(tmp_path / "joined.zarr")
    for part in (dataset, other):
        subset = joined.sel(site=part.site, time=part.time)
        np.testing.assert_array_equal(subset.precipitation, part.precipitation)
        np.testing.assert_array_equal(subset.sm_insitu, part.sm_insitu)


def test_join_with_all_inputs_has_missing_values(dataset: xr.Dataset) -> None:
    other = make_dataset(seed=1).assign_coords(site=[f"T{i}" for i in range(12)])
    other["lai"] = other.precipitation.clip(max=5).assign_attrs(units="m2 m-2", long_name="leaf area index")
    share = {"units": "1", "long_name": "water capacity"}
    other["water_capacity"] = ("site", np.linspace(0.1, 0.4, 12), share)
    joined = join(dataset, other, inputs="all")
    assert set(forcing_names(joined)) == {*forcing_names(dataset), "lai"}
    assert set(attribute_names(joined)) == {*attribute_names(dataset), "water_capacity"}
    for name in ("lai", "water_capacity"):
        np.testing.assert_array_equal(joined[name].sel(site=other.site).values, other[name].values)
        assert joined[name].sel(site=dataset.site).isnull().all()
    only_in = json.loads(joined.attrs["history"])[-1]["only_in"]
    assert only_in == {"first": [], "second": ["lai", "water_capacity"]}


def test_join_refuses_incompatible_datasets(dataset: xr.Dataset) -> None:
    with pytest.raises(DatasetError, match=r"duplicate site 'S000' \(12 sites are in both datasets\)"):
        join(dataset, dataset)
    other = make_dataset(seed=1).assign_coords(site=[f"T{i}" for i in range(12)])
    no_common = other.drop_vars(["precipitation", "air_temperature"]).assign(
        lai=other.precipitation.assign_attrs(units="m2 m-2")
    )
    with pytest.raises(
        DatasetError, match=r"share no forcing. First: air_temperature, precipitation. Second: lai"
    ):
        join(dataset, no_common)
    numbers = other.copy()
    numbers["land_cover"] = other.land_cover.assign_attrs({"units": "1", "source": "x"})
    del numbers["land_cover"].attrs["flag_values"], numbers["land_cover"].attrs["flag_meanings"]
    with pytest.raises(
        DatasetError, match="'land_cover' is categorical in one dataset and numeric in the other"
    ):
        join(dataset, numbers)


def test_join_keeps_the_products_of_both(dataset: xr.Dataset) -> None:
    def with_product(ds: xr.Dataset, name: str, value: float) -> xr.Dataset:
        array = xr.full_like(ds.sm_smap, value).expand_dims(product=[name])
        return ds.assign(sm_product=array.assign_attrs(units="m3 m-3", source=name))

    other = make_dataset(seed=1).assign_coords(site=[f"T{i}" for i in range(12)])
    joined = join(with_product(dataset, "SMOS", 0.2), with_product(other, "AMSR2", 0.3))
    assert list(joined["product"].values) == ["SMOS", "AMSR2"]
    assert (joined.sm_product.sel(product="SMOS", site=dataset.site) == np.float32(0.2)).all()
    assert joined.sm_product.sel(product="SMOS", site=other.site).isnull().all()
    assert (joined.sm_product.sel(product="AMSR2", site=other.site) == np.float32(0.3)).all()
    assert joined.attrs["simulated"] == "true"
    check_dataset(joined)
    plain = join(with_product(dataset, "SMOS", 0.2), other)
    assert plain.sm_product.sel(site=other.site).isnull().all()


def conus_file(path: Path, **units: str) -> Path:
    """Write a small file in the layout of the SMAP-over-CONUS file."""
    daily = ["precip", "t2m", "swdown", "lwdown", "spfh", "u10", "v10", "smap_am"]
    stated = dict.fromkeys(daily, "") | {
        "precip": "mm/day", "t2m": "K", "swdown": "W m-2", "lwdown": "W m-2", "spfh": "kg kg-1", "u10": "m s-1",
        "v10": "m s-1", "smap_am": "m3 m-3", "era5_clim_t2m": "degC", "era5_clim_tp": "mm/year",
    } | units  # fmt: skip
    level = {"t2m": 280.0, "lwdown": 300.0, "smap_am": 0.2, "spfh": 0.005}
    ds = xr.Dataset(
        coords={
            "site": ["a", "b"],
            "time": np.datetime64("2015-04-01") + np.arange(30),
            "lat": ("site", [40.0, 41.0]),
            "lon": ("site", [-100.0, -99.0]),
        }
    )
    for n in daily:
        ds[n] = (("site", "time"), np.full((2, 30), level.get(n, 1.0), np.float32), {"units": stated[n]})
    static = [
        "sand",
        "clay",
        "silt",
        "bulk",
        "capa",
        "ndvi",
        "flag_albedo",
        "flag_roughness",
        "flag_vegdense",
        "flag_waterbody",
    ]
    for n in [f"static_{s}" for s in static] + [
        "era5_clim_t2m",
        "era5_clim_t2m_range",
        "era5_clim_tp",
        "era5_clim_tp_cv",
    ]:
        ds[n] = ("site", np.full(2, 0.5, np.float32), {"units": stated.get(n, "1")})
    for n in ("koppen_main", "igbp_mcd12c1"):
        ds[n] = ("site", np.array([3, 4], np.int16))
    ds.to_netcdf(path, engine="h5netcdf")
    return path


def test_any_file_with_the_layout_is_read(tmp_path: Path) -> None:
    ds = build(
        "conus-smap", conus_file(tmp_path / "mine.nc"), period=Period(start="2015-04-05", end="2015-04-10")
    )  # type: ignore[arg-type]
    assert dict(ds.sizes) == {"site": 2, "time": 6}
    assert float(ds.clay[0]) == pytest.approx(0.005)
    assert list(ds.region.values) == ["CONUS", "CONUS"]


def test_invalid_source_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"unknown dataset name 'conus'. Did you mean 'conus-smap'"):
        build("conus", tmp_path / "x.nc")
    with pytest.raises(DatasetError, match=r"x\.nc does not exist"):
        build("conus-smap", tmp_path / "x.nc")
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(DatasetError, match=r"text\.nc cannot be read as netCDF-4"):
        build("conus-smap", tmp_path / "text.nc")
    with pytest.raises(DatasetError, match=r"'precip' has units 'kg m-2 s-1'; expected 'mm/day'"):
        build("conus-smap", conus_file(tmp_path / "rate.nc", precip="kg m-2 s-1"))
    with pytest.raises(DatasetError, match=r"is not a USCRN file: it lacks sm, t2m_mean"):
        build("uscrn", conus_file(tmp_path / "other.nc"))
    with pytest.raises(DatasetError, match=r"no day of 1999-01-01 to 1999-02-01 is in the source"):
        build(
            "conus-smap",
            conus_file(tmp_path / "short.nc"),
            period=Period(start="1999-01-01", end="1999-02-01"),
        )  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match=r"unknown reader 'smap'"):
        make_reader("smap")
