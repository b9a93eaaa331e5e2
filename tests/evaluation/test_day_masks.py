"""Masks of days: planted frozen, snowy and flagged days against hand-made selections, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from gsm3core import Run, compare_runs, score_products, score_run, select_sites
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.conditions import conditions_of
from gsm3core.evaluation.day_masks import MASKS, available_masks, masked_days
from gsm3core.evaluation.test_days import in_season
from gsm3core.schema import check_dataset, forcing_names, open_dataset
from support.report_runs import make_run, world

SHAPE = (12, 400)


def masked_world() -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    """A world with frozen soil, snow and flags on known days, on which every record is far off."""
    ds, rng = world(12), np.random.default_rng(5)
    frozen, snow, smap, other, in_situ = (rng.random(SHAPE) < share for share in (0.2, 0.15, 0.1, 0.12, 0.05))
    unknown = rng.random(SHAPE) < 0.05
    temperature = np.where(frozen, 270.0, 280.0)
    temperature[unknown] = np.nan
    attrs = {"source": "simulated for tests"}
    ds["soil_temperature"] = v_daily(temperature, units="K", **attrs)
    ds["snow_water_equivalent"] = v_daily(np.where(snow, 5.0, 0.05), units="mm", **attrs)
    ds["sm_smap_flag"] = v_daily(smap, units="1", **attrs)
    ds["sm_insitu_flag"] = v_daily(in_situ, units="1", **attrs)
    ds["sm_product_flag"] = (
        ("product", "site", "time"),
        other[None].astype(np.float32),
        {"units": "1"} | attrs,
    )
    return ds, {
        "frozen": frozen & ~unknown, "snow": snow, "SMAP": smap | in_situ, "GLDAS-Noah": other | in_situ,
        v.MULTITASK_LSTM: in_situ,
    }  # fmt: skip


def v_daily(values: np.ndarray, **attrs: str) -> tuple:
    return ("site", "time"), values.astype(np.float32), attrs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, xr.Dataset, dict[str, np.ndarray]]:
    ds, days = masked_world()
    run = make_run(tmp_path_factory.mktemp("runs"), ds)
    return run, open_dataset(run.dataset_path), days


def expected_days(days: dict[str, np.ndarray], product: str, masks: list[str]) -> np.ndarray:
    out = np.zeros(SHAPE, bool)
    for mask in masks:
        out |= days[product] if mask == "flagged" else days[mask]
    return out


@pytest.mark.parametrize("masks", [["frozen"], ["snow"], ["flagged"], ["frozen", "snow", "flagged"]])
@pytest.mark.parametrize("season", [None, "summer"])
def test_scores_are_of_the_remaining_days(made: tuple, masks: list[str], season: str | None) -> None:
    run, ds, days = made
    scores = score_run(run, dataset=ds, masks=masks, season=season)
    compared = compare_runs(ds, {v.MULTITASK_LSTM: run}, masks=masks, season=season).sel(sample="pairwise")
    predictions = run.predictions()
    inside = in_season(ds, season).values if season else np.ones(SHAPE, bool)
    for product in (v.MULTITASK_LSTM, "SMAP", "GLDAS-Noah"):
        x = {"SMAP": ds[v.SM_SMAP], v.MULTITASK_LSTM: predictions[v.SM_PREDICTED]}.get(product)
        x = ds[v.SM_PRODUCT].sel(product=product) if x is None else x
        y = ds[v.SM_INSITU].values
        paired = np.isfinite(x.values) & np.isfinite(y) & predictions[v.IN_TEST].values & inside
        kept = paired & ~expected_days(days, product, masks)
        one = scores.sel(product=product)
        np.testing.assert_array_equal(one["n_valid"], kept.sum(1))
        np.testing.assert_array_equal(one["n_masked"], (paired & ~kept).sum(1))
        site = 3
        truth = np.sqrt(np.mean((x.values[site] - y[site])[kept[site]] ** 2, dtype=float))
        truth = truth if kept[site].sum() >= 30 else np.nan
        np.testing.assert_allclose(one["RMSE"][site], truth, rtol=1e-5)
        np.testing.assert_allclose(
            compared["score"].sel(product=product, metric="RMSE")[site], truth, rtol=1e-5
        )
    assert scores.attrs["masks"].split() == masks
    assert all(MASKS[m].words in conditions_of(scores) for m in masks)
    assert conditions_of(scores) == conditions_of(compared)


def test_masks_come_before_the_scaling(made: tuple) -> None:
    run, ds, _ = made
    scores = score_run(run, dataset=ds, masks=["frozen"], scaling="mean_std")
    assert float(np.abs(scores["bias"]).max()) == 0
    np.testing.assert_allclose(
        scores["R"], score_run(run, dataset=ds, masks=["frozen"])["R"], atol=1e-12
    )  # fmt: skip


def test_no_mask_leaves_scores_and_variables_alone(made: tuple) -> None:
    run, ds, _ = made
    found = score_run(run, dataset=ds)
    assert "n_masked" not in found and conditions_of(found) == ""
    np.testing.assert_array_equal(found["RMSE"].values, run.scores()["RMSE"].values)


def test_a_dataset_without_the_variable_refuses_the_mask() -> None:
    ds = world(12)
    reasons = available_masks(ds)
    assert "soil_temperature" in reasons["frozen"] and "snow_depth" in reasons["snow"]
    assert "sm_smap_flag" in reasons["flagged"]
    for mask in MASKS:
        with pytest.raises(DatasetError, match=f"mask '{mask}': the dataset has no"):
            score_products(ds, masks=[mask])
    with pytest.raises(DatasetError, match=r"unknown mask 'froze'\. Did you mean 'frozen'"):
        score_products(ds, masks=["froze"])


def test_a_variable_without_values_counts_as_missing() -> None:
    ds, _ = masked_world()
    assert set(available_masks(ds).values()) == {""}
    ds["soil_temperature"] = ds["soil_temperature"] * np.nan
    assert "soil_temperature" in available_masks(ds)["frozen"]


def test_variables_are_found_by_standard_name() -> None:
    ds, days = masked_world()
    renamed = ds.rename(soil_temperature="stl1", snow_water_equivalent="swe")
    renamed["stl1"].attrs["standard_name"] = "soil_temperature"
    renamed["swe"].attrs["standard_name"] = "lwe_thickness_of_surface_snow_amount"
    for mask in ("frozen", "snow"):
        found = masked_days(renamed, v.SM_INSITU, ["SMAP"], [mask])[0]
        np.testing.assert_array_equal(found, days[mask])
    renamed["swe"].attrs["units"] = "m"  # 5 m is not the 5 mm of the limit: the unit is not known, so no mask
    assert available_masks(renamed)["snow"]


def test_flags_are_no_inputs_of_a_model() -> None:
    ds, _ = masked_world()
    check_dataset(ds)
    assert "sm_smap_flag" not in forcing_names(ds) and "soil_temperature" in forcing_names(ds)


def test_sensor_depth_selects_sites() -> None:
    ds = world(12)
    depth = np.array([0.05, 0.0508, 0.1, np.nan] * 3, np.float32)
    ds = ds.assign_coords(depth=("site", depth, {"units": "m"}))
    assert select_sites(ds, depth=(0.05, 0.05)).sizes["site"] == 3
    assert select_sites(ds, depth=(0.0, 0.06)).sizes["site"] == 6
    assert select_sites(ds, depth=(0.0, 1.0)).sizes["site"] == 9
    with pytest.raises(DatasetError, match=r"depth is \(0\.1, 0\.05\)"):
        select_sites(ds, depth=(0.1, 0.05))
    with pytest.raises(DatasetError, match="no coordinate 'depth'"):
        select_sites(world(12), depth=(0.0, 0.1))


@pytest.mark.parametrize("mask", ["frozen", "snow"])
def test_a_selection_of_sites_has_the_same_days(mask: str) -> None:
    """Half of the sites have no soil temperature and no snow water equivalent; these have a snow depth."""
    ds, days = masked_world()
    ds["snow_depth"] = v_daily(np.where(days["snow"], 0.3, 0.0), units="m", source="simulated for tests")
    for name in ("soil_temperature", "snow_water_equivalent"):
        ds[name] = ds[name].where(xr.DataArray(np.arange(12) < 6, dims="site"))
    part = ds.isel(site=slice(6, None))
    whole, of_part = (score_products(d, masks=[mask]).isel(site=slice(-6, None)) for d in (ds, part))
    for name in ("n_valid", "n_masked", "RMSE"):
        np.testing.assert_array_equal(whole[name].values, of_part[name].values)
    assert (whole["n_masked"].values > 0).any() == (mask == "snow")


def test_temperature_in_other_units_is_not_taken_for_kelvin() -> None:
    ds, _ = masked_world()
    renamed = ds.rename(soil_temperature="stl1")
    renamed["stl1"] = (renamed["stl1"] - 273.15).assign_attrs(
        standard_name="soil_temperature", units="degC", source="simulated for tests"
    )
    assert available_masks(renamed)["frozen"]
    with pytest.raises(DatasetError, match="mask 'frozen': the dataset has no"):
        score_products(renamed, masks=["frozen"])
