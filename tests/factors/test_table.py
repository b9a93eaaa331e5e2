"""The factor table: matching of sites, factors, excluded factors and weights."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import spearmanr
from statsmodels.stats.meta_analysis import combine_effects

from gsm3core.errors import DatasetError
from gsm3core.factors import factor_table
from support.factor_tables import simulated, simulated_table
from support.small_world import make_dataset


def real_shaped(n: int = 40) -> tuple[xr.Dataset, xr.Dataset]:
    ds = make_dataset(n_sites=n, n_days=60)
    rng = np.random.default_rng(1)
    aspect = rng.uniform(0, 360, n)
    ds["aspect"] = ("site", aspect, {"units": "degree"})
    lat = ds["lat"].values.copy()
    lat[::2] *= -1
    ds = ds.assign_coords(lat=("site", lat))
    scores = xr.Dataset({"R": (("product", "site"), rng.uniform(0, 1, (2, n)))},
                        coords={"product": ["GSM3 LSTM", "SMAP"], "site": ds["site"].values},
                        attrs={"reference": "sm_insitu"})  # fmt: skip
    return scores, ds


def test_sites_are_matched_by_id_and_need_a_score() -> None:
    scores, ds = real_shaped()
    scores["R"][0, 3] = np.nan
    table = factor_table(scores.isel(site=slice(None, None, -1)), ds.isel(site=slice(2, None)))
    assert "S003" not in table.site and "S000" not in table.site and len(table) == 37
    for k, site in enumerate(table.site):
        assert table.score[k] == float(scores["R"].sel(product="GSM3 LSTM", site=site))
        assert table.column("elevation")[k] == float(ds["elevation"].sel(site=site))
        assert table.network[k] == ds["network"].sel(site=site)
        assert table.lat[k] == float(ds["lat"].sel(site=site))


def test_poleward_aspect_and_means_of_records() -> None:
    scores, ds = real_shaped()
    table = factor_table(scores, ds)
    expected = np.cos(np.radians(ds["aspect"].values)) * np.sign(ds["lat"].values)
    np.testing.assert_allclose(table.column("poleward_aspect"), expected)
    assert "aspect" not in table.factors
    np.testing.assert_allclose(table.column("mean_sm_smap"), np.nanmean(ds["sm_smap"].values, 1), rtol=1e-5)
    assert table.moisture == "mean_sm_smap" and not table.circular


def test_records_of_mean_soil_moisture_and_circularity() -> None:
    scores, ds = real_shaped()
    insitu = factor_table(scores, ds, moisture="sm_insitu")
    np.testing.assert_allclose(
        insitu.column("mean_sm_insitu"), np.nanmean(ds["sm_insitu"].values, 1), rtol=1e-5
    )
    assert insitu.circular and "circular" in insitu.note and "not cause" in insitu.note
    # The product is SMAP itself: its mean and its score share errors.
    assert factor_table(scores, ds, product="SMAP").circular
    assert factor_table(scores.assign_attrs(reference="sm_smap"), ds).circular
    ds = ds.assign_coords(product=["ERA5"])
    ds["sm_product"] = (("product", "site", "time"), ds["sm_smap"].values[None] * 0.5, {"units": "m3 m-3"})
    era5 = factor_table(scores, ds, moisture="ERA5")
    assert era5.moisture == "mean_ERA5" and not era5.circular
    own = xr.DataArray(np.linspace(0, 1, 40), dims="site", coords={"site": ds["site"]}, name="gauge")
    np.testing.assert_array_equal(
        factor_table(scores, ds, moisture=own).column("gauge"), np.linspace(0, 1, 40)
    )
    with pytest.raises(DatasetError, match="ERA5"):
        factor_table(scores, ds, moisture="ERA6")


def test_each_class_has_its_own_column() -> None:
    scores, ds = real_shaped()
    table = factor_table(scores, ds)
    assert table.classes["land_cover"] == {1.0: "a", 10.0: "b", 12.0: "c"}
    x, column_factor = table.encoded()
    class_columns = x[:, column_factor == table.factors.index("land_cover")]
    assert class_columns.shape[1] == 3
    np.testing.assert_array_equal(class_columns.sum(1), 1)
    np.testing.assert_array_equal(class_columns @ [1, 10, 12], ds["land_cover"].values)


def test_near_duplicates_are_excluded_with_a_reason() -> None:
    scores, attributes = simulated()
    driver = attributes["driver"]
    rng = np.random.default_rng(2)
    attributes["steep"] = np.exp(5 * driver)  # the same ranks: equivalent for trees
    attributes["turned"] = -driver
    gaps = rng.permutation(len(driver))[:5]
    attributes["turned"][gaps] = np.nan
    attributes["correlated"] = driver + rng.normal(0, 0.25, len(driver))
    attributes["flat"] = driver * 0
    attributes["rare"] = driver.where(np.arange(len(driver)) < 50)
    table = factor_table(scores, attributes)
    r = spearmanr(driver, attributes["correlated"]).statistic
    assert 0.7 < r < 0.95 and "correlated" in table.factors
    assert [n for n in ("driver", "steep", "turned") if n in table.factors] == ["driver"]
    assert "driver" in table.dropped["steep"]
    assert "constant over the sites" in table.dropped["flat"] and "missing at 190" in table.dropped["rare"]
    group = dict(zip(table.factors, table.groups, strict=True))
    assert group["correlated"] == group["driver"] != group["idle"]
    assert (
        "steep"
        in factor_table(scores, attributes, duplicate_correlation=1.01, factors=["driver", "steep"]).factors
    )
    with pytest.raises(DatasetError, match="excluded: near-duplicate of driver"):
        table.column("steep")


def test_weights_equal_a_random_effects_meta_analysis() -> None:
    scores, attributes = simulated()
    table = factor_table(scores, attributes)
    s2 = 1 / (scores["n_effective"].values - 3)
    oracle = combine_effects(np.arctanh(scores["R"].values), s2, method_re="chi2")
    expected = 1 / (s2 + oracle.tau2)
    np.testing.assert_allclose(table.weights(), expected / expected.mean(), rtol=1e-6)
    scores["n_effective"][0] = 2.5  # the variance of R is infinite with three days or fewer
    weights = factor_table(scores, attributes).weights()
    assert weights is not None and 0 < weights[0] < 1e-5 * weights[1:].min()
    assert factor_table(scores.drop_vars("n_effective"), attributes).weights() is None


def test_weights_of_other_metrics_use_their_intervals() -> None:
    scores, attributes = simulated()
    half = np.linspace(0.01, 0.1, scores.sizes["site"])
    rmse = 0.05 + 0.01 * scores["R"].values
    scores = scores.assign(
        RMSE=("site", rmse), RMSE_lower=("site", rmse - half), RMSE_upper=("site", rmse + half)
    )
    table = factor_table(scores.assign_attrs(confidence=0.95), attributes, metric="RMSE")
    np.testing.assert_allclose(np.sqrt(table.sampling_variance), half / 1.959963985, rtol=1e-6)


def test_invalid_input_is_named() -> None:
    scores, attributes = simulated()
    with pytest.raises(DatasetError, match="'driver'"):
        factor_table(scores, attributes, factors=["drivr"])
    with pytest.raises(DatasetError, match="n_effective"):
        factor_table(scores, attributes, metric="n_efective")
    with pytest.raises(DatasetError, match="5 sites"):
        factor_table(scores.isel(site=slice(5)), attributes)
    many = scores.expand_dims(product=["a", "b"])
    with pytest.raises(DatasetError, match="product is missing"):
        factor_table(many, attributes)


def test_selection_applies_to_all_arrays() -> None:
    table = simulated_table()
    part = table.select(table.score > 0.5)
    assert (part.score > 0.5).all() and len(part) == len(part.site) == len(part.values) < len(table)


def test_importing_loads_no_model_library() -> None:
    code = "import sys, gsm3core.factors as f; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "sklearn", "shap", "panel"} & set(done.stdout.split())


def test_unknown_sampling_errors_give_no_weights() -> None:
    scores, attributes = simulated(60, 8)
    unknown = scores.assign(n_effective=scores["n_effective"] * 0 + 2)
    assert factor_table(unknown, attributes).weights() is None
    exact = scores.assign(RMSE=scores["R"], RMSE_lower=scores["R"], RMSE_upper=scores["R"])
    assert factor_table(exact, attributes, metric="RMSE").weights() is None


def test_constant_score_or_no_factor_is_an_error() -> None:
    scores, attributes = simulated(60, 8)
    with pytest.raises(DatasetError, match="R is the same at all 60 sites"):
        factor_table(scores.assign(R=scores["R"] * 0 + 0.5), attributes)
    with pytest.raises(DatasetError, match="no attribute, forcing or mean soil moisture"):
        factor_table(scores, xr.Dataset(coords=attributes.coords))


def test_infinite_attributes_are_missing() -> None:
    scores, attributes = simulated(60, 8)
    attributes["soil"][3] = np.inf
    table = factor_table(scores, attributes)
    assert np.isnan(table.column("soil")[3]) and np.isfinite(np.delete(table.column("soil"), 3)).all()


def test_default_product_is_the_run() -> None:
    scores, attributes = simulated(60, 8)
    three = xr.concat(
        [scores * 0.5, scores, scores * 0.2], pd.Index(["SMAP", "Gradient boosting", "SMOS"], name="product")
    )
    np.testing.assert_array_equal(factor_table(three, attributes).score, scores["R"].values)
    two_models = three.assign_coords(product=["GSM3 LSTM", "Gradient boosting", "SMOS"])
    with pytest.raises(DatasetError, match="product is missing"):
        factor_table(two_models, attributes)


def test_note_states_simulated_and_circular() -> None:
    scores, attributes = simulated(60, 8)
    assert "Simulated" not in factor_table(scores, attributes).note
    assert factor_table(scores, attributes.assign_attrs(simulated="true")).note.startswith("Simulated data")
    # The product SMAP and the record sm_smap are the same: both are circular.
    days = (
        attributes["mean_sm_smap"]
        .expand_dims(time=pd.date_range("2020-01-01", periods=3))
        .transpose("site", "time")
    )
    series = attributes.drop_vars("mean_sm_smap").assign(sm_smap=days)
    against = scores.assign_attrs(reference="sm_smap")
    assert factor_table(against, series, moisture="SMAP").circular
    assert factor_table(against, series, moisture="sm_smap").circular
