"""Collocation with sites and EASE-Grid 2.0 against analytic fields and pyproj's ellipsoid."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from gsm3core.assembly.collocate import to_ease, to_sites
from gsm3core.assembly.daily import to_daily
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.geography.grids import cell_centres, cell_of
from gsm3core.readers import make_grid_reader

GEOD = Geod(ellps="WGS84")
LAT = -89.5 + np.arange(180)
LON = -179.5 + np.arange(360)


def world(values: np.ndarray, **attrs: object) -> xr.Dataset:
    ds = xr.Dataset(
        {"field": (("time", "lat", "lon"), values[None], attrs)}, coords={"time": [0], "lat": LAT, "lon": LON}
    )
    ds.attrs["time_step"] = 86400.0
    return ds


@given(
    lat=st.floats(-89.4, 89.4),
    lon=st.floats(-179.99, 179.99),
    slopes=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
)
def test_bilinear_is_exact_on_planes(lat: float, lon: float, slopes: tuple[float, float]) -> None:
    # A plane in longitude is discontinuous at 180 degrees; stay one cell away.
    lon = float(np.clip(lon, -179.4, 179.4))
    ds = world(slopes[0] * LAT[:, None] + slopes[1] * LON[None, :])
    out = to_sites(ds, [lat], [lon], method="bilinear")
    assert float(out.field[0, 0]) == pytest.approx(slopes[0] * lat + slopes[1] * lon, abs=1e-3)


@given(lat=st.floats(-89.9, 89.9), lon=st.floats(-180, 359.9))
def test_nearest_is_the_cell_containing_the_site(lat: float, lon: float) -> None:
    ds = world(np.arange(180.0 * 360).reshape(180, 360))
    out = to_sites(ds, [lat], [lon])
    row, column = np.divmod(int(out.field[0, 0]), 360)
    wrapped = (lon + 180) % 360 - 180
    assert abs(LAT[row] - lat) <= 0.5 + 1e-6
    assert abs((LON[column] - wrapped + 180) % 360 - 180) <= 0.5 + 1e-6
    *_, metres = GEOD.inv(wrapped, lat, LON[column], LAT[row])
    assert float(out.distance_km[0]) == pytest.approx(metres / 1000, rel=0.006, abs=1e-6)


@given(
    west=st.integers(0, 359),
    columns=st.integers(3, 300),
    lon=st.floats(-180, 359.9),
    method=st.sampled_from(["nearest", "bilinear"]),
)
def test_regional_grid_equals_the_globe_inside_only(west: int, columns: int, lon: float, method: str) -> None:
    """Any region, also across 180 degrees: values inside equal those of the global grid, values outside are missing."""
    ds = world(np.random.default_rng(0).random((180, 360)))
    cut = ds.isel(lon=sorted((west + k) % 360 for k in range(columns)))
    east_of_edge = (lon - (LON[west] - 0.5)) % 360
    regional, world_wide = (to_sites(a, [10.2], [lon], method=method) for a in (cut, ds))  # type: ignore[arg-type]
    if 0.51 < east_of_edge < columns - 0.51:
        np.testing.assert_allclose(regional.field, world_wide.field, rtol=1e-5)
        assert float(regional.distance_km[0]) == float(world_wide.distance_km[0])
    elif 1e-6 < east_of_edge < columns - 1e-6:
        assert float(regional.distance_km[0]) == float(world_wide.distance_km[0]), "in an outermost cell"
    elif columns + 1e-6 < east_of_edge < 360 - 1e-6:
        assert np.isnan(regional.field).all() and np.isnan(regional.distance_km).all()


def test_a_gap_in_a_grid_has_no_values() -> None:
    ds = world(LON[None, :] + 0 * LAT[:, None]).sel(lon=[*LON[:30], *LON[60:200]])
    sites = [LON[29] + 0.4, LON[29] + 0.6, LON[45], LON[60] - 0.6, LON[60] - 0.4]
    for method in ("nearest", "bilinear"):
        out = to_sites(ds, [0.0] * 5, sites, method=method)  # type: ignore[arg-type]
        np.testing.assert_allclose(out.field[0], [LON[29], np.nan, np.nan, np.nan, LON[60]])


def test_bilinear_is_periodic_in_longitude() -> None:
    ds = world(np.cos(np.radians(LON))[None, :] + 0 * LAT[:, None])
    out = to_sites(ds, [0.0] * 4, [180.0, -180.0, 179.9, 180.1], method="bilinear")
    np.testing.assert_allclose(out.field[0], -np.cos(np.radians(0.5)), rtol=1e-6)
    assert out.lon.values.tolist() == [-180.0, -180.0, 179.9, pytest.approx(-179.9)]


def test_descending_latitudes_and_regional_grids() -> None:
    ds = (
        world(LAT[:, None] + 0 * LON).isel(lat=slice(None, None, -1)).sel(lon=slice(0, 30), lat=slice(50, 40))
    )
    out = to_sites(ds, [45.2, 45.2, 60.0, 50.0, 39.9], [10.0, 31.0, 10.0, 10.0, 10.0], method="bilinear")
    np.testing.assert_allclose(out.field[0], [45.2, np.nan, np.nan, 49.5, np.nan], rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(out.distance_km), [False, True, True, False, True])


def test_missing_neighbours_up_to_half_the_weight() -> None:
    values = np.ones((180, 360))
    values[90, 180] = np.nan  # centre 0.5 N, 0.5 E
    ds = world(values)
    out = to_sites(ds, [0.4, 0.0, 0.5], [0.4, 0.0, 0.5], method="bilinear")
    np.testing.assert_array_equal(out.field[0], [np.nan, 1.0, np.nan])
    assert float(to_sites(ds, [0.05], [0.05], method="bilinear").field[0, 0]) == 1.0


def test_classes_are_not_averaged() -> None:
    ds = world(np.where(LON[None, :] < 0, 10.0, 200.0) + 0 * LAT[:, None], flag_values=np.array([10, 200]))
    out = to_sites(ds, [0.0], [-0.01], method="bilinear")
    assert float(out.field[0, 0]) == 10
    assert out.field.attrs["collocation"] == "nearest"


def test_directions_are_not_averaged() -> None:
    """Half-way between 350 and 10 degrees the mean of the numbers faces south."""
    ds = world(np.where(np.arange(360) < 180, 350.0, 10.0) + np.zeros((180, 1))).rename(field="aspect")
    out = to_sites(ds, [0.0], [-0.01], method="bilinear")
    assert float(out.aspect[0, 0]) in (350.0, 10.0)
    assert out.aspect.attrs["collocation"] == "nearest"


def test_sites_in_ease_cells() -> None:
    """A map of cell numbers (time, y, x): nearest is the cell given by the projection."""
    rows, columns = 406, 964
    ds = xr.Dataset(
        {"sm_smap": (("time", "y", "x"), np.arange(float(rows * columns)).reshape(1, rows, columns))},
        coords={"time": [0], "y": np.arange(rows), "x": np.arange(columns)},
        attrs={"grid": "M36"},
    )
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(-84, 84, 400), rng.uniform(-180, 180, 400)
    out = to_sites(ds, lat, lon, site=[f"S{i}" for i in range(400)])
    found = out.sm_smap[0].values.astype(int)
    expected = cell_of(lat, lon, "M36")
    np.testing.assert_array_equal(found, expected)
    centre_lat, centre_lon = cell_centres("M36")
    *_, metres = GEOD.inv(lon, lat, centre_lon[found % columns], centre_lat[found // columns])
    np.testing.assert_allclose(out.distance_km, np.asarray(metres) / 1000, rtol=0.006, atol=1e-3)
    assert str(out.site.values[3]) == "S3"
    by_shape = to_sites(ds.drop_attrs(), lat[:2], lon[:2])
    np.testing.assert_array_equal(by_shape.sm_smap[0], out.sm_smap[0, :2])


def test_onto_ease_grid() -> None:
    field = np.sin(np.radians(LAT))[:, None] * np.cos(np.radians(LON))[None, :]
    out = to_ease(world(field), "M36")
    lat, lon = cell_centres("M36")
    exact = np.sin(np.radians(lat))[:, None] * np.cos(np.radians(lon))[None, :]
    # Error bound of bilinear interpolation on 1 degree: h^2/8 of each second derivative.
    assert float(abs(out.field[0] - exact).max()) < 2 * np.radians(1) ** 2 / 8
    assert out.field.dims == ("time", "y", "x")
    assert out.attrs["grid"] == "M36"
    strip = to_ease(world(field), "M36", rows=slice(100, 110))
    np.testing.assert_array_equal(strip.field, out.field[:, 100:110])
    np.testing.assert_array_equal(strip.lat, lat[100:110])
    assert float(out.distance_km.max()) < 80


def test_36_km_map_on_the_9_km_grid() -> None:
    """Sixteen 9 km cells in each 36 km cell; bilinear values of a plane are the plane."""
    lat, lon = cell_centres("M36")
    ds = xr.Dataset(
        {"s": (("y", "x"), lat[:, None] + 0 * lon)},
        coords={"y": np.arange(406), "x": np.arange(964)},
        attrs={"grid": "M36"},
    )
    nearest = to_ease(ds, "M09", method="nearest", rows=slice(400, 408))
    np.testing.assert_allclose(
        nearest.s, np.repeat(lat[100:102], 4)[:, None] + 0 * np.arange(3856), rtol=1e-6
    )
    smooth = to_ease(ds, "M09", rows=slice(400, 408))
    np.testing.assert_allclose(smooth.s[:, 7], cell_centres("M09")[0][400:408], atol=2e-3)


def test_nine_km_strip_of_a_quarter_degree_grid() -> None:
    fine_lat, fine_lon = -89.875 + np.arange(720) / 4, -179.875 + np.arange(1440) / 4
    ds = xr.Dataset(
        {"field": (("lat", "lon"), fine_lat[:, None] + 0 * fine_lon)},
        coords={"lat": fine_lat, "lon": fine_lon},
    )
    out = to_ease(ds, "M09", rows=slice(400, 420))
    lat, _ = cell_centres("M09")
    np.testing.assert_allclose(out.field, np.broadcast_to(lat[400:420, None], out.field.shape), rtol=1e-5)


def test_invalid_sites_and_grids() -> None:
    ds = world(np.zeros((180, 360)))
    with pytest.raises(DatasetError, match=r"lists of the same length"):
        to_sites(ds, [1.0, 2.0], [1.0])
    with pytest.raises(DatasetError, match=r"Are lat and lon swapped"):
        to_sites(ds, [-120.0], [45.0])
    with pytest.raises(DatasetError, match=r"unknown method 'cubic'"):
        to_sites(ds, [1.0], [1.0], method="cubic")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match=r"dimensions lat and lon, or y and x; it has time, site"):
        to_sites(ds.rename(lat="site").isel(lon=0, drop=True), [1.0], [1.0])
    nameless = xr.Dataset({"s": (("y", "x"), np.zeros((3, 3)))}, coords={"y": range(3), "x": range(3)})
    with pytest.raises(DatasetError, match=r"need the attribute 'grid', one of M09, M36; it is None"):
        to_sites(nameless, [1.0], [1.0])
    with pytest.raises(DatasetError, match=r"unknown EASE-Grid 2.0 'M99'"):
        to_ease(ds, "M99")


@pytest.mark.real_data
def test_reader_with_collocation_and_daily_means(real_data: Path) -> None:
    """Three sites of the producer's GLDAS files, and their daily means computed separately."""
    folder = real_data / "native" / "gldas"
    lat, lon = [40.1, -33.3, 51.6], [-99.9, 147.2, 370.4 - 360]
    day = Period(start=dt.date(2016, 1, 1), end=dt.date(2016, 1, 1))
    ds = make_grid_reader("gldas_noah").open(folder, day, transform=lambda grid: to_sites(grid, lat, lon))
    assert dict(ds.sizes) == {"time": 7, "site": 3}
    assert (ds.distance_km < 20).all()
    expected = []
    for path in sorted(folder.glob("*A20160101*")):
        with h5py.File(path) as raw:
            rows = [int(np.argmin(abs(raw["lat"][:] - x))) for x in lat]
            columns = [int(np.argmin(abs(raw["lon"][:] - x))) for x in lon]
            expected.append(
                [raw["SoilMoi0_10cm_inst"][0, i, j] / 100 for i, j in zip(rows, columns, strict=True)]
            )
    np.testing.assert_allclose(ds.sm_product, expected, rtol=1e-6)
    daily = to_daily(ds)
    np.testing.assert_allclose(daily.sm_product[0], np.mean(expected, axis=0), rtol=1e-6)
    assert to_daily(ds, minimum=1).sm_product.isnull().all(), "the file of 00 UTC is missing"
    np.testing.assert_array_equal(daily.distance_km, ds.distance_km)
