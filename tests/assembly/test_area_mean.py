"""Area means over coarse cells: against xarray's coarsen, analytic fields, brute force, and assembled datasets."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.assembly.assemble import assemble
from gsm3core.assembly.collocate import to_sites
from gsm3core.assembly.recipe import Recipe
from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError
from gsm3core.experiment.folds import folds_of, satellite_groups
from gsm3core.geography.grids import cell_centres, cell_of
from gsm3core.schema import open_dataset, save_dataset
from support import planted_sources as planted
from support.small_world import make_dataset

STEP = 0.05
LAT = np.round(np.arange(-90 + STEP / 2, 90, STEP), 6)
LON = np.round(np.arange(-180 + STEP / 2, 180, STEP), 6)


def fine(values: np.ndarray, lat: np.ndarray, lon: np.ndarray, **attrs: object) -> xr.Dataset:
    return xr.Dataset(
        {"field": (("time", "lat", "lon"), values, attrs)},
        coords={"time": range(len(values)), "lat": lat, "lon": lon},
    )


def region(lat0: float, lon0: float, degrees: int = 4) -> tuple[np.ndarray, np.ndarray]:
    return tuple(c[(c > a) & (c < a + degrees)] for c, a in ((LAT, lat0), (LON, lon0)))  # type: ignore[return-value]


@pytest.mark.parametrize("south", [-64.0, 0.0, 48.0])
def test_mean_is_that_of_xarray_coarsen(south: float) -> None:
    """0.05 degrees to 0.25 degrees, weighted by the cosine of latitude."""
    lat, lon = region(south, 8.0)
    rng = np.random.default_rng(0)
    ds = fine(rng.random((3, len(lat), len(lon))), lat, lon)
    area = xr.zeros_like(ds.field) + np.cos(np.radians(ds.lat))
    coarse = (ds.field * area).coarsen(lat=5, lon=5).sum() / area.coarsen(lat=5, lon=5).sum()
    site_lat, site_lon = rng.uniform(south + 0.3, south + 3.7, 40), rng.uniform(8.3, 11.7, 40)
    found = to_sites(ds, site_lat, site_lon, resolution=0.25)
    cells = coarse.sel(
        lat=xr.DataArray(site_lat, dims="site"), lon=xr.DataArray(site_lon, dims="site"), method="nearest"
    )
    np.testing.assert_allclose(found.field, cells.transpose("time", "site"), rtol=1e-6)
    assert found.field.attrs["collocation"] == "area mean over 0.25 degrees, at least 50% of the cells valid"
    assert found.field.attrs["grid"] == "0.25deg"


@given(lat=st.floats(-70, 70), lon=st.floats(-180, 180), seed=st.integers(0, 99))
def test_mean_of_any_grid_is_that_of_the_centres_in_the_cell(lat: float, lon: float, seed: int) -> None:
    """0.1 degrees does not divide 0.25: brute force over the centres; across 180 degrees too."""
    step = 0.1
    centre_lat = np.round(np.arange(np.floor(lat) - 2, np.floor(lat) + 3, step) + step / 2, 6)
    centre_lon = np.round(np.arange(-180 + step / 2, 180, step), 6)
    values = np.random.default_rng(seed).random((1, len(centre_lat), len(centre_lon)))
    found = to_sites(fine(values, centre_lat, centre_lon), [lat], [lon], resolution=0.25)
    wrapped = (lon + 180) % 360 - 180
    south, west = (np.floor(x / 0.25 + 1e-9) * 0.25 for x in (lat, wrapped))
    rows = (centre_lat > south - 1e-7) & (centre_lat < south + 0.25 - 1e-7)
    columns = (centre_lon > west - 1e-7) & (centre_lon < west + 0.25 - 1e-7)
    inside = values[0][np.ix_(rows, columns)]
    weight = np.cos(np.radians(centre_lat[rows]))[:, None] * np.ones(columns.sum())
    assert rows.sum() in (2, 3) and columns.sum() in (2, 3)
    assert float(found.field[0, 0]) == pytest.approx((inside * weight).sum() / weight.sum(), rel=1e-6)


def test_mean_of_a_plane_is_its_value_at_the_cell_centre() -> None:
    lat, lon = region(-1.0, 100.0)
    ds = fine((2 * lat[:, None] + 3 * lon[None, :])[None], lat, lon)
    found = to_sites(ds, [0.3, 1.26], [101.01, 102.2], resolution=0.25)
    np.testing.assert_allclose(found.field[0], [2 * 0.375 + 3 * 101.125, 2 * 1.375 + 3 * 102.125], rtol=1e-5)


def test_half_of_the_cells_must_be_valid() -> None:
    lat, lon = region(40.0, 20.0)
    values = np.ones((1, len(lat), len(lon)))
    values[0, :5, :5].flat[:12] = np.nan  # 13 of 25 left
    values[0, :5, 5:10].flat[:13] = np.nan  # 12 of 25 left
    found = to_sites(fine(values, lat, lon), [40.1, 40.1, 40.1], [20.1, 20.3, 20.6], resolution=0.25)
    assert found.field[0].values.tolist()[::2] == [1, 1] and np.isnan(found.field[0, 1])


def test_a_site_outside_the_grid_has_no_value() -> None:
    lat, lon = region(40.0, 20.0)
    found = to_sites(
        fine(np.ones((1, len(lat), len(lon))), lat, lon), [40.1, 50.0], [20.1, 20.1], resolution=0.25
    )
    assert found.field[0, 0] == 1 and np.isnan(found.field[0, 1]) and np.isnan(found.distance_km[1])


def test_classes_take_the_one_with_the_largest_area() -> None:
    lat, lon = region(40.0, 20.0)
    rng = np.random.default_rng(3)
    values = rng.choice([2.0, 5.0, 9.0], (1, len(lat), len(lon)), p=[0.2, 0.3, 0.5])
    ds = fine(values, lat, lon, flag_values=np.array([2, 5, 9], np.int16), flag_meanings="a b c")
    found = to_sites(ds, [41.1], [21.6], method="bilinear", resolution=0.25)
    cell = ds.field[0].sel(lat=slice(41.0, 41.25), lon=slice(21.5, 21.75)).values
    assert cell.shape == (5, 5)
    counts = [(cell == c).sum() for c in (2, 5, 9)]
    assert float(found.field[0, 0]) == (2, 5, 9)[int(np.argmax(counts))]
    assert found.field.attrs["collocation"].startswith("class of the largest area over 0.25 degrees")


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
@pytest.mark.parametrize("step", [0.25, 0.5])
def test_coarser_sources_are_not_changed(method: str, step: float) -> None:
    """ERA5 and GLDAS at 0.25 degrees, MERRA-2 and others coarser."""
    lat, lon = np.arange(-60, 60.1, step), np.arange(-180, 180, step)
    values = np.random.default_rng(0).random((2, len(lat), len(lon)))
    at = ([10.3, -20.9], [33.3, -179.9])
    ds = fine(values, lat, lon)
    xr.testing.assert_identical(
        to_sites(ds, *at, method=method, resolution=0.25), to_sites(ds, *at, method=method)
    )  # type: ignore[arg-type]


def test_ease_cells_have_equal_weights() -> None:
    """9 km EASE-Grid 2.0 (SMAP): the plain mean over the cells whose centres lie in the quarter degree."""
    lat, lon = cell_centres("M09")
    values = np.random.default_rng(0).random((1, len(lat), len(lon)))
    ds = xr.Dataset(
        {"field": (("time", "y", "x"), values)},
        coords={"time": [0], "y": np.arange(len(lat)), "x": np.arange(len(lon))}, attrs={"grid": "M09"},
    )  # fmt: skip
    for at in ((50.2, 10.1), (-33.4, 147.3), (68.9, -150.2)):
        south, west = (np.floor(x / 0.25) * 0.25 for x in at)
        rows, columns = ((c >= a) & (c < a + 0.25) for c, a in ((lat, south), (lon, west)))
        found = to_sites(ds, [at[0]], [at[1]], resolution=0.25)
        assert float(found.field[0, 0]) == pytest.approx(values[0][np.ix_(rows, columns)].mean(), rel=1e-6)


def test_blocks_of_steps_give_the_same_as_all_at_once() -> None:
    lat, lon = region(10.0, 10.0)
    ds = fine(np.random.default_rng(0).random((6, len(lat), len(lon))), lat, lon)
    at = ([11.1, 12.2], [11.3, 12.4])
    parts = [to_sites(ds.isel(time=slice(k, k + 2)), *at, resolution=0.25) for k in (0, 2, 4)]
    np.testing.assert_array_equal(xr.concat(parts, "time").field, to_sites(ds, *at, resolution=0.25).field)


def quarter_sources(root: Path) -> None:
    planted.write_all(root)
    # SoMo.ml at 0.05 degrees: its value is the longitude plus the latitude, so that the mean is known.
    (root / "somo-ml" / "SoMo.ml_v1_layer1_2015.nc").unlink()
    lat, lon = np.arange(45.025, 55, 0.05), np.arange(5.025, 15, 0.05)
    first = int((np.datetime64("2015-01-01") - np.datetime64("2000-01-01")).astype(int))
    values = (0.001 * lat[:, None] + 0.002 * lon[None, :])[None] + 0.001 * np.arange(120)[:, None, None]
    xr.Dataset(
        {"layer1": (("time", "lat", "lon"), values.astype(np.float32), {"units": "m3/m3"})},
        coords={"time": ("time", first + np.arange(120), {"units": "days since 2000-01-01 00:00:00"}),
                "lat": lat, "lon": lon},
    ).to_netcdf(root / "somo-ml" / "SoMo.ml_v1_layer1_2015.nc", engine="h5netcdf")  # fmt: skip


def test_an_assembled_dataset_has_the_area_means_and_says_so(tmp_path: Path) -> None:
    root, table = tmp_path / "sources", tmp_path / "places.csv"
    root.mkdir()
    quarter_sources(root)
    table.write_text("site,lat,lon\nA,50.2,10.1\nB,50.05,10.2\nC,47.3,12.9\n")
    options = {
        "sites": {"kind": "table", "path": table}, "period": {"start": "2015-04-01", "end": "2015-04-06"},
        "forcings": ["era5:air_temperature"], "products": ["somo-ml"],
    }  # fmt: skip
    for name, resolution in (("fine", None), ("quarter", 0.25)):
        recipe = Recipe.model_validate(options | {"resolution": resolution})
        assemble(recipe, tmp_path / f"{name}.zarr", root=root, work=tmp_path / "work")
    fine_, quarter = (open_dataset(tmp_path / f"{n}.zarr").load() for n in ("fine", "quarter"))
    xr.testing.assert_equal(fine_.air_temperature, quarter.air_temperature)  # 10 degrees: coarser
    somo = quarter.sm_product.sel(product="SoMo.ml")
    for site, (lat, lon) in {"A": (50.125, 10.125), "B": (50.125, 10.125), "C": (47.375, 12.875)}.items():
        expected = 0.001 * lat + 0.002 * lon + 0.001 * (90 + np.arange(6))
        np.testing.assert_allclose(somo.sel(site=site), expected, atol=1e-5)
    np.testing.assert_array_equal(somo.sel(site="A"), somo.sel(site="B"))
    assert not np.array_equal(*(fine_.sm_product.sel(site=s).values for s in "AB"))
    assert "area mean over 0.25 degrees" in quarter.sm_product.attrs["collocation"]
    steps = {s.get("source"): s for s in json.loads(quarter.attrs["history"])}
    assert steps["somo-ml"]["resolution_degrees"] == 0.25
    assert (
        "resolution_degrees"
        not in {s.get("source"): s for s in json.loads(fine_.attrs["history"])}["somo-ml"]
    )


def test_an_averaged_satellite_record_keeps_its_grid(tmp_path: Path) -> None:
    """Through assembly and zarr, so that its sites are held out by the cells that they share."""
    root, table = tmp_path / "sources", tmp_path / "places.csv"
    (root / "smap-l3e").mkdir(parents=True)
    (root / "era5").mkdir()
    planted.era5(root / "era5")
    lat, lon = cell_centres("M09")
    values = (0.2 + 0.0005 * lat[:, None] + 0.0005 * lon[None, :]).clip(0.01, 0.5)
    for day in planted.DAYS[:2]:
        with h5py.File(root / "smap-l3e" / f"SMAP_L3_SM_P_E_{day:%Y%m%d}_R19240_001.h5", "w") as file:
            group = file.create_group("Soil_Moisture_Retrieval_Data_AM")
            sm = group.create_dataset("soil_moisture", data=np.float32(values))
            sm.attrs.update({"_FillValue": np.float32(-9999), "units": np.bytes_("cm**3/cm**3")})
            flags = group.create_dataset("retrieval_qual_flag", data=np.zeros(values.shape, np.uint16))
            flags.attrs["_FillValue"] = np.uint16(65534)
    table.write_text("site,lat,lon\nA,50.2,10.1\nB,50.05,10.2\nC,47.3,12.9\n")
    recipe = Recipe.model_validate({
        "sites": {"kind": "table", "path": table}, "period": {"start": "2015-04-01", "end": "2015-04-02"},
        "forcings": ["era5:air_temperature"], "products": ["smap-l3e"], "resolution": 0.25,
    })  # fmt: skip
    assemble(recipe, tmp_path / "quarter.zarr", root=root)
    ds = open_dataset(tmp_path / "quarter.zarr").load()
    rows, columns = (lat >= 50) & (lat < 50.25), (lon >= 10) & (lon < 10.25)
    np.testing.assert_allclose(ds.sm_smap.sel(site="A"), values[np.ix_(rows, columns)].mean(), rtol=1e-6)
    np.testing.assert_array_equal(ds.sm_smap.sel(site="A"), ds.sm_smap.sel(site="B"))
    assert ds.sm_smap.attrs["grid"] == "0.25deg"
    assert "area mean over 0.25 degrees" in ds.sm_smap.attrs["collocation"]
    groups = satellite_groups(ds)
    assert groups[0] == groups[1] != groups[2]


def test_sites_that_share_an_averaged_satellite_cell_are_held_out_together(tmp_path: Path) -> None:
    ds = make_dataset(24)
    k = np.arange(24)
    # Pairs of sites 0.15 degrees apart: another 9 km cell, the same quarter degree.
    lat, lon = 40.05 + (k // 2), 10.05 + 0.15 * (k % 2)
    ds = ds.assign_coords(lat=("site", lat), lon=("site", lon))
    assert len(np.unique(cell_of(lat, lon, "M09"))) == 24
    ds["sm_smap"].attrs["grid"] = "0.25deg"
    ds = open_dataset(save_dataset(ds, tmp_path / "quarter.zarr"))
    assert len(np.unique(satellite_groups(ds))) == 12
    config = ExperimentConfig.from_mapping({"holdout": {"name": "random_spatial", "folds": 4}})
    for fold in folds_of(ds, config):
        np.testing.assert_array_equal(fold.test_sites[::2], fold.test_sites[1::2])


@given(lat=st.floats(-90, 90), lon=st.floats(-180, 360))
def test_cell_numbers_of_degree_grids(lat: float, lon: float) -> None:
    cell = int(cell_of(lat, lon, "0.25deg"))
    row, column = divmod(cell, 1440)
    assert 0 <= row < 720 and 0 <= column < 1440
    south, west = -90 + row * 0.25, -180 + column * 0.25
    assert south - 1e-6 <= lat <= south + 0.25 + 1e-6
    assert min(abs((lon - west + 180) % 360 - 180), abs((lon - west - 0.25 + 180) % 360 - 180)) <= 0.25 + 1e-6


@pytest.mark.parametrize("resolution", [0.7, 0.01, 10])
def test_a_resolution_must_divide_the_globe(resolution: float) -> None:
    with pytest.raises(ValueError, match="resolution"):
        Recipe.model_validate({"sites": {"kind": "table", "path": "x.csv"}, "resolution": resolution})


def test_resolution_needs_gridded_sources() -> None:
    from typer.testing import CliRunner

    from gsm3core.cli.main import app

    found = CliRunner().invoke(app, ["data", "build", "demo", "--out", "x.zarr", "--resolution", "0.25"])
    assert isinstance(found.exception, ConfigError) and "needs gridded sources" in str(found.exception)
