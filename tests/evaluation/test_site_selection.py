"""select_sites: each criterion against numpy, and errors of invalid criteria."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.path import Path as Outline

from gsm3core import select_sites
from gsm3core.errors import DatasetError
from gsm3core.evaluation.site_selection import SiteFilter, criteria, in_polygon, site_table
from gsm3core.geography.mercator import mercator
from support.small_world import make_dataset


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    found = make_dataset(n_sites=36)
    angles = np.linspace(0, 350, 36).astype(np.float32)
    found["aspect"] = "site", angles, {"units": "degree", "source": "simulated for tests"}
    return found


def ids(ds: xr.Dataset) -> list[str]:
    return ds["site"].values.astype(str).tolist()


def test_no_criterion_selects_every_site(ds: xr.Dataset) -> None:
    assert ids(select_sites(ds)) == ids(ds)


@pytest.mark.parametrize("names", ["Europe", ["Europe", "CONUS"]])
def test_region_by_one_name_or_several(ds: xr.Dataset, names: str | list[str]) -> None:
    expected = np.isin(ds["region"].values, [names] if isinstance(names, str) else names)
    assert ids(select_sites(ds, region=names)) == ids(ds.isel(site=expected))


def test_all_criteria_must_be_met(ds: xr.Dataset) -> None:
    expected = (
        (ds["region"].values == "CONUS") & (ds["network"].values == "net0") & (ds["land_cover"].values == 10)
    )
    assert ids(select_sites(ds, region="CONUS", network=["net0"], land_cover="b")) == ids(
        ds.isel(site=expected)
    )


@pytest.mark.parametrize("record", ["sm_smap", "SMAP", "in situ", "sm_insitu"])
def test_mean_soil_moisture_range(ds: xr.Dataset, record: str) -> None:
    name = "sm_smap" if record in ("sm_smap", "SMAP") else "sm_insitu"
    mean = np.nanmean(ds[name].values.astype(float), axis=1)
    low, high = np.quantile(mean, [0.2, 0.7])
    found = select_sites(ds, moisture=(low, high), moisture_of=record)
    assert ids(found) == ids(ds.isel(site=(mean >= low) & (mean <= high)))
    assert 0 < found.sizes["site"] < 36


def test_aspect_in_degrees_is_converted_to_poleward(ds: xr.Dataset) -> None:
    poleward = np.cos(np.radians(ds["aspect"].values)) * np.where(ds["lat"].values < 0, -1, 1)
    assert ids(select_sites(ds, aspect=(0.45, 1.0))) == ids(ds.isel(site=poleward >= 0.45))


def test_polygon_agrees_with_matplotlib() -> None:
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-130, -60, 4000), rng.uniform(20, 60, 4000)
    corners = [(-120.0, 25.0), (-70.0, 30.0), (-80.0, 55.0), (-100.0, 40.0)]
    path = Outline(np.column_stack(mercator(*np.array(corners).T)))
    expected = path.contains_points(np.column_stack(mercator(lon, lat)))
    np.testing.assert_array_equal(in_polygon(corners, lon, lat), expected)
    assert 0 < expected.sum() < 4000


def test_unnamed_station_gets_the_site_id(ds: xr.Dataset) -> None:
    unnamed = ds.assign_coords(station=("site", np.full(36, "")))
    assert site_table(unnamed)["station"].tolist() == ids(ds)


def test_criteria_are_the_arguments_of_select_sites(ds: xr.Dataset) -> None:
    requested = SiteFilter(region=("Europe",), moisture=(0.1, 0.3), moisture_of="in situ")
    assert criteria(requested) == {"region": ("Europe",), "moisture": (0.1, 0.3), "moisture_of": "in situ"}
    mask = np.ones(36, bool)
    means = {"in situ": np.nanmean(ds["sm_insitu"].values.astype(float), axis=1)}
    mask &= (ds["region"].values == "Europe") & (means["in situ"] >= 0.1) & (means["in situ"] <= 0.3)
    assert ids(select_sites(ds, **criteria(requested))) == ids(ds.isel(site=mask))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        ({"region": "Europ"}, r"region 'Europ' is not in the dataset.*Europe"),
        ({"network": ["net0", "net9"]}, "network 'net9'"),
        ({"climate": "BWh"}, "climate 'BWh'"),
        ({"moisture": (0.1, 0.3), "moisture_of": "SMOS"}, "moisture_of is 'SMOS'"),
        ({"moisture": (0.3, 0.1)}, r"expected \(lower, upper\)"),
        ({"aspect": (1.0, -1.0)}, r"expected \(lower, upper\)"),
        ({"polygon": [(0.0, 0.0), (1.0, 1.0)]}, "2 corners"),
    ],
)
def test_invalid_criterion_is_named(ds: xr.Dataset, invalid: dict, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        select_sites(ds, **invalid)


def test_aspect_needs_an_aspect() -> None:
    with pytest.raises(DatasetError, match="neither 'poleward_aspect' nor 'aspect'"):
        select_sites(make_dataset(), aspect=(0.0, 1.0))
