"""Numbers of the report against the evaluation functions and numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core import Run, compare_products, error_types, score_periods, score_trends, site_scores
from gsm3core import vocabulary as v
from gsm3core.report import write_report
from gsm3core.report.published import paper_table
from gsm3core.report.tables import interval, number, probability
from gsm3core.schema import products
from support.report_runs import make_run, score, world


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[xr.Dataset, list[Run], Path]:
    folder = tmp_path_factory.mktemp("report")
    ds = world()
    errors = {"temporal": 0.03, "random_spatial": 0.05, "cross_continental": 0.08}
    runs = [make_run(folder, ds, h, error=e) for h, e in errors.items()]
    return ds, runs, write_report(runs, folder / "out")


def table(page: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(page.parent / "tables" / f"{name}.csv", dtype={"paper": str})


def test_headline_is_median_of_scores(reported: tuple[xr.Dataset, list[Run], Path]) -> None:
    _, runs, page = reported
    found = table(page, "medians").query("region == 'Global'").set_index(["product", "metric"])
    scores = runs[0].scores()
    for product in scores["product"].values:
        for metric in ("R", "bias", "RMSE", "ubRMSE"):
            values = scores[metric].sel(product=product).values
            assert found.loc[(product, metric), "median"] == pytest.approx(np.nanmedian(values), abs=1e-12)
            assert found.loc[(product, metric), "sites"] == np.isfinite(values).sum()
    shown = number(float(np.nanmedian(scores["R"].sel(product="GSM3 LSTM"))))
    assert f"<td>{shown}<small>" in page.read_text()


def test_table_one_has_regions_and_published_numbers(
    reported: tuple[xr.Dataset, list[Run], Path],
) -> None:
    _, runs, page = reported
    found = table(page, "table1").set_index(["experiment", "metric", "region"])
    for run in runs:
        own = run.scores().sel(product="GSM3 LSTM")
        for region in ("CONUS", "Europe", "Australia"):
            here = own["ubRMSE"].values[own["region"].values == region]
            row = found.loc[(run.config.holdout.name, "ubRMSE", region)]
            assert row["median"] == pytest.approx(np.nanmedian(here), abs=1e-12)
    assert found.loc[("random_spatial", "bias", "Global"), "paper"] == "-0.0003"
    assert found.loc[("temporal", "R", "Alaska"), "paper"] == "0.654"
    assert np.isnan(found.loc[("temporal", "R", "Alaska"), "median"])
    assert paper_table().shape == (12, 8)


def test_products_are_compared_on_test_days(reported: tuple[xr.Dataset, list[Run], Path]) -> None:
    ds, runs, page = reported
    made = runs[0].predictions()
    series = {"GSM3 LSTM": made["sm_predicted"].reset_coords(drop=True)} | {
        n: a.reset_coords(drop=True) for n, a in products(ds).items()
    }
    stacked = xr.concat(list(series.values()), dim=pd.Index(list(series), name="product"))
    stacked = stacked.isel(time=slice(0, 200)).assign_attrs(units="m3 m-3")
    expected = compare_products(stacked, ds["sm_insitu"], min_effective=0.0)
    for sample in ("pairwise", "same_sample"):
        one = expected.sel(sample=sample)
        found = table(page, f"products-{sample.replace('_', '-')}").set_index(["metric", "product"])
        pairs = table(page, f"pairs-{sample.replace('_', '-')}").set_index(["metric", "product", "other"])
        for metric in ("R", "bias", "RMSE", "ubRMSE"):
            for name in series:
                at = one.sel(metric=metric, product=name)
                assert found.loc[(metric, name), "median"] == pytest.approx(float(at["median"]), nan_ok=True)
                assert found.loc[(metric, name), "upper"] == pytest.approx(float(at["upper"]), nan_ok=True)
            at = one.sel(metric=metric, product="GSM3 LSTM", other="SMAP")
            for part in ("difference", "difference_lower", "p_holm", "win_share"):
                assert pairs.loc[(metric, "GSM3 LSTM", "SMAP"), part] == pytest.approx(
                    float(at[part]), nan_ok=True
                )


def test_error_types_use_all_four_experiments(reported: tuple[xr.Dataset, list[Run], Path]) -> None:
    ds, runs, page = reported
    made = runs[0].predictions()
    train = site_scores(made["sm_predicted"].isel(time=slice(200, None)), ds["sm_insitu"], intervals="none")
    experiments = {r.config.holdout.name: r.scores().sel(product="GSM3 LSTM") for r in runs}
    expected = error_types({"train": train} | experiments)
    found = table(page, "error-types-R").set_index(["error_type", "region"])
    for kind in expected["error_type"].values:
        for region in expected["region"].values:
            at = expected.sel(error_type=kind, region=region)
            for part in ("error", "lower", "upper", "p"):
                assert found.loc[(kind, region), part] == pytest.approx(float(at[part]), nan_ok=True)
    # Planted: each experiment errs more than the one before it.
    assert found.loc[("C", "Global"), "lower"] > 0 and found.loc[("extrapolation", "Global"), "lower"] > 0


def test_training_days_are_a_product_of_their_own(reported: tuple[xr.Dataset, list[Run], Path]) -> None:
    ds, runs, page = reported
    y = ds["sm_insitu"].values[:, 200:].astype(float)
    x = runs[0].predictions()["sm_predicted"].values[:, 200:].astype(float)
    error = np.where(np.isfinite(y), x - y, np.nan)
    enough = np.isfinite(error).sum(1) >= 30
    rmse = np.sqrt(np.nanmean(error[enough] ** 2, axis=1))
    found = table(page, "medians").query("region == 'Global'").set_index(["product", "metric"])
    row = found.loc[("GSM3 LSTM (training)", "RMSE")]
    assert row["median"] == pytest.approx(np.median(rmse), rel=1e-5)
    assert row["sites"] == enough.sum()
    assert list(found.loc[(slice(None), "RMSE"), :].index.get_level_values(0))[-1] == "GSM3 LSTM (training)"
    levels = table(page, "error-types-RMSE-levels").set_index(["experiment", "region"])
    assert levels.loc[("train", "Global"), "level"] == pytest.approx(row["median"])
    assert levels.loc[("residual of the fit", "Global"), "level"] == pytest.approx(row["median"])


def test_strata_count_every_site_once(reported: tuple[xr.Dataset, list[Run], Path]) -> None:
    _, runs, page = reported
    with_r = int(runs[0].scores()["R"].sel(product="GSM3 LSTM").notnull().sum())
    for by in ("network", "land-cover", "elevation", "mean-soil-moisture"):
        found = table(page, f"strata-{by}").query("metric == 'R'")
        assert found["sites"].sum() == with_r
    assert list(table(page, "strata-season").query("metric == 'R'")["season"]) == [
        "winter", "spring", "summer", "autumn",
    ]  # fmt: skip


def test_excluded_sites_have_a_reason(reported: tuple[xr.Dataset, list[Run], Path]) -> None:
    _, runs, page = reported
    found = table(page, "excluded-sites").set_index(["product", "site"])
    assert found.loc[("GSM3 LSTM", "S000"), "reason"].endswith("paired days, fewer than 30")
    assert found.loc[("GSM3 LSTM", "S001"), "reason"] == "in-situ record is constant"
    assert (
        bool(found.loc[("GSM3 LSTM", "S001"), "has_bias"])
        and found.loc[("SMAP", "S000"), "network"] == "net0"
    )
    missing = runs[0].scores()["R"].isnull().sum("site")
    for product in ("GSM3 LSTM", "SMAP", "GLDAS-Noah"):
        assert len(found.loc[product]) == int(missing.sel(product=product))


def test_netcdf_file_holds_the_scores(reported: tuple[xr.Dataset, list[Run], Path]) -> None:
    _, runs, page = reported
    with xr.open_dataset(page.parent / "data" / "scores-run-temporal.nc", engine="h5netcdf") as ds:
        xr.testing.assert_allclose(ds.load(), runs[0].scores())


def test_baseline_has_its_name_and_calibration(tmp_path: Path) -> None:
    """Normal errors with the predicted standard deviation of 0.02: coverage is nominal."""
    ds = world()
    run = make_run(tmp_path, ds, "random_spatial", error=0.02, model="gradient_boosting", std=0.02)
    page = write_report([run], tmp_path / "out")
    found = table(page, "calibration").set_index("level")
    for level in (0.5, 0.8, 0.9, 0.95):
        assert found.loc[level, "coverage_median"] == pytest.approx(level, abs=0.03)
        assert found.loc[level, "probability_median"] == pytest.approx(level, abs=0.005)
    assert found.loc[0.95, "width_median"] == pytest.approx(2 * 1.96 * 0.02, rel=0.02)
    np.testing.assert_allclose(table(page, "pit")["median"], 0.1, atol=0.03)
    name = v.MODEL_PRODUCTS["gradient_boosting"]
    pairs = table(page, "pairs-pairwise")
    assert name in set(pairs["product"]) and f"{name} minus each product" in page.read_text()
    assert "GSM3 LSTM" not in set(table(page, "medians")["product"])


def test_trends_of_yearly_scores(tmp_path: Path) -> None:
    ds = world(n_days=4 * 365)
    page = write_report([make_run(tmp_path, ds, "random_spatial")], tmp_path / "out")
    found = table(page, "trends").set_index("metric")
    own = Run.open(next(tmp_path.glob("**/config.toml")).parent)
    yearly = score_periods(ds, own, metrics=("R", "bias"))
    trends = score_trends(yearly, metrics=("R", "bias")).sel(product="GSM3 LSTM")
    for metric in ("R", "bias"):
        slopes = trends[f"{metric}_trend"].values
        assert found.loc[metric, "median"] == pytest.approx(np.nanmedian(slopes), abs=1e-9)
        assert found.loc[metric, "lower"] <= found.loc[metric, "median"] <= found.loc[metric, "upper"]
    assert "sites have three years or more with a score" in page.read_text()


def test_number_formatting() -> None:
    assert number(-0.0004) == "0.000" and number(-0.12345) == "−0.123" and number(np.nan) == "–"
    assert number(0.1, sign=True) == "+0.100" and number(np.inf) == "–"
    assert interval(np.nan, 1.0) == "no interval" and interval(-0.1, 0.2, 1) == "−0.1 to\N{NO-BREAK SPACE}0.2"
    assert (
        probability(0.0) == "p < 0.001" and probability(0.0312) == "p = 0.031" and probability(np.nan) == "–"
    )


def test_untested_sites_and_simulated_data_are_marked(tmp_path: Path) -> None:
    """With a holdout list of sites, all other sites are not part of the run."""
    ds = world(24, 120).assign_attrs(simulated="true")
    run = make_run(tmp_path, ds, "custom", scored=False)
    made = run.predictions().load()
    made["in_test"][12:] = False
    run.write_predictions(made)
    score(run, ds)
    page = write_report([run], tmp_path / "out")
    found = table(page, "excluded-sites").set_index(["product", "site"])
    for product in ("GSM3 LSTM", "SMAP", "GLDAS-Noah"):
        assert found.loc[(product, "S020"), "reason"] == "not part of this run"
    assert found.loc[("SMAP", "S001"), "reason"] == "in-situ record is constant"
    assert all(pd.read_csv(f)["simulated"].all() for f in (page.parent / "tables").glob("*.csv"))
    for file in (page.parent / "data").glob("*.nc"):
        with xr.open_dataset(file, engine="h5netcdf") as one:
            assert one.attrs["simulated"] == "true"
