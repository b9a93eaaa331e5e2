"""The demonstration dataset: contract, attributes, determinism, errors, and similarity to real data."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from gsm3core import schema
from gsm3core import vocabulary as v
from gsm3core.demo import PRODUCT_ERRORS, Scenario, demo_dataset, demo_truth
from gsm3core.errors import DatasetError
from gsm3core.geography.regions import region_of
from support.demo_worlds import END, N_SITES, SEED, START, bare, planted


def test_dataset_is_valid_and_round_trips(tmp_path):
    ds = planted().dataset.isel(site=slice(0, 12), time=slice(0, 60))
    schema.check_dataset(planted().dataset)
    path = schema.save_dataset(ds, tmp_path / "demo.nc")
    with schema.open_dataset(path) as back:
        for name in ds.data_vars:
            np.testing.assert_array_equal(back[name].values, ds[name].values)
        assert schema.is_simulated(back)


def test_attributes_describe_the_simulation():
    ds = planted().dataset
    assert "simulated" in ds.attrs["title"]
    assert schema.is_simulated(ds)
    assert json.loads(ds.attrs["scenario"]) == Scenario().as_dict()
    assert json.loads(bare().dataset.attrs["scenario"])["aspect_effect"] is False
    assert json.loads(ds.attrs["product_errors"])["SMAP"]["bias"] == PRODUCT_ERRORS["SMAP"].bias
    for name, array in ds.data_vars.items():
        assert "simulated" in array.attrs["source"], name
        assert array.attrs["long_name"], name
        assert array.attrs["units"] == v.VARIABLES[str(name)].units


def test_dataset_has_all_kinds_of_variables():
    ds = planted().dataset
    assert len(schema.forcing_names(ds)) == 9
    assert len(schema.attribute_names(ds)) == 15
    assert list(schema.products(ds)) == ["SMAP", "SMOS", "AMSR2", "GLDAS-Noah", "SoMo.ml"]
    assert [n for n in schema.attribute_names(ds) if schema.is_categorical(ds[n])] == [
        "climate",
        "land_cover",
    ]
    np.testing.assert_array_equal(ds["region"].values, region_of(ds["lat"].values, ds["lon"].values))
    for name in schema.forcing_names(ds) + schema.attribute_names(ds):
        assert np.isfinite(ds[name].values).all(), name
    for name in ("climate", "land_cover"):
        flags = dict(
            zip(ds[name].attrs["flag_values"].tolist(), ds[name].attrs["flag_meanings"].split(), strict=True)
        )
        assert len(flags) == len(v.CLASSES[name])
        assert set(np.unique(ds[name].values).tolist()) <= set(v.CLASSES[name])


def test_texture_and_aspect_are_consistent():
    ds = planted().dataset
    total = ds["sand"] + ds["clay"] + ds["silt"]
    assert total.values == pytest.approx(1.0, abs=1e-6)
    assert ds["silt"].min() >= 0
    # Paper, section 2.2: the cosine, times -1 in the Southern Hemisphere.
    by_hand = np.cos(np.radians(ds["aspect"].values.astype(float))) * np.where(ds["lat"].values < 0, -1, 1)
    assert ds["poleward_aspect"].values == pytest.approx(by_hand, abs=1e-5)


def test_values_are_plausible():
    ds = planted().dataset
    q = {n: np.nanquantile(ds[n].values.astype(float), [0.001, 0.5, 0.999]) for n in ds.data_vars}
    assert q["sm_insitu"][0] >= 0.0
    assert 0.1 < q["sm_insitu"][1] < 0.3
    assert q["sm_insitu"][2] < 0.6
    assert q["air_temperature"][0] > 220
    assert q["air_temperature"][2] < 320
    assert 5 < q["precipitation"][2] < 200
    # Clear days of high summer have about 400 W m-2, and the error of the forcing is 8 %.
    assert 300 < q["shortwave_down"][2] < 450
    # The annual precipitation of the forcing is that of the attribute, less the missed share.
    annual = ds["precipitation"].mean("time") * 365.25
    assert float((annual / ds["mean_annual_precipitation"]).median()) == pytest.approx(0.96, abs=0.12)


def test_values_depend_on_the_arguments_alone():
    again = {"n_sites": 20, "start": "2016-01-01", "end": "2016-03-31"}
    one, two = (demo_dataset(**again, seed=4) for _ in range(2))
    for name in one.variables:
        assert one[name].values.tobytes() == two[name].values.tobytes(), name
    assert one.attrs == two.attrs
    other = demo_dataset(**again, seed=5)
    assert not np.array_equal(one["lat"], other["lat"])
    assert not np.array_equal(one["sm_smap"], other["sm_smap"], equal_nan=True)
    xr.testing.assert_identical(demo_truth(**again, seed=4), demo_truth(**again, seed=4))


def test_truth_has_the_coordinates_of_the_dataset():
    world = planted()
    assert (world.dataset.sizes["site"], world.truth.sizes["site"]) == (N_SITES, N_SITES)
    np.testing.assert_array_equal(world.truth["site"], world.dataset["site"])
    assert str(world.truth["time"].values[0])[:10] == START
    assert str(world.truth["time"].values[-1])[:10] == END
    assert world.dataset.attrs["seed"] == SEED


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"n_sites": 6}, "n_sites is 6; expected 7"),
        ({"n_sites": 10**6}, "n_sites is 1000000"),
        ({"seed": -1}, "seed is -1"),
        ({"start": "2016-02-01", "end": "2016-01-01"}, "end 2016-01-01 is before start 2016-02-01"),
        ({"start": "yesterday"}, "start is 'yesterday'"),
        ({"end": "NaT"}, "end is 'NaT'"),
    ],
)
def test_invalid_arguments_are_named(arguments, named):
    with pytest.raises(DatasetError, match=named) as caught:
        demo_dataset(**arguments)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize("n", [7, 19])
def test_smallest_datasets_have_all_regions(n):
    ds = demo_dataset(n_sites=n, start="2016-06-01", end="2016-06-01")
    assert ds.sizes["time"] == 1
    assert set(ds["region"].values.tolist()) == set(v.REGIONS)


def test_import_loads_no_heavy_package():
    heavy = ("torch", "scipy", "sklearn", "panel", "numba")
    code = f"import sys, gsm3core.demo; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def shape_of(moisture: np.ndarray) -> dict[str, float]:
    """Medians over sites of the statistics that characterise a soil-moisture record."""
    rows = []
    for row in moisture:
        step = np.diff(row)
        ok = np.isfinite(step)
        if ok.sum() < 100 or np.nanstd(row) == 0:
            continue
        lag = np.corrcoef(row[:-1][ok], row[1:][ok])[0, 1]
        step = step[ok]
        skew = np.mean((step - step.mean()) ** 3) / step.std() ** 3
        rows.append((lag, np.nanstd(row), step.std(), skew, np.nanmean(row)))
    return dict(zip(("lag", "std", "step", "skew", "mean"), np.median(rows, axis=0).tolist(), strict=True))


@pytest.mark.real_data
def test_records_resemble_those_of_uscrn(real_data):
    with xr.open_dataset(real_data / "uscrn2020_87.nc", engine="h5netcdf") as stored:
        real = shape_of(stored["sm"].values.astype(float))
    ds = planted().dataset
    # One calendar year of the same country, as in the real file.
    ours = ds["sm_insitu"].sel(time="2016")[ds["region"].values == "CONUS"].values.astype(float)
    demo = shape_of(ours)
    # Slow (measured 0.955), skewed by rain (2.8), of the same standard deviation, step and mean within a factor of 1.5.
    assert demo["lag"] == pytest.approx(real["lag"], abs=0.06)
    for name in ("std", "step", "mean", "skew"):
        assert 1 / 1.5 < demo[name] / real[name] < 1.5, (name, demo[name], real[name])
