"""The lines of Python beside comparisons, factors and medians are really run, and make the numbers of the page."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from app.export import tables
from app.export.scripts import comparison_script, factor_script, median_script, runs_script
from app.pages.factors.exports import effect_table, strata_table, surface_table
from app.services.comparison import ComparisonRequest, compare
from app.services.factor_analysis import effect, factor_query, strata, surface
from app.services.medians import median_scores, medians
from app.services.run_progress import LossHistory
from app.services.strata_bins import Bins
from app.session.controller import SessionController
from app.session.selection import Selection
from gsm3core import vocabulary as v

DATASET = "bucket.zarr"


class IdleMonitor:
    def newest_active(self):
        return None


def visit(store, **chosen):
    selection = Selection(**chosen)
    SessionController(selection, store, IdleMonitor()).load()
    return selection


def carry_out(code):
    made: dict = {}
    exec(compile(code, "lines", "exec"), made)
    return made


def compared(store, s, other_run=""):
    asked = ComparisonRequest(
        evaluation=s.evaluation, shown=s.shown, other_run=other_run, metric=s.metric, min_days=s.min_days
    )
    return compare(store, asked)


@pytest.mark.parametrize(
    ("other", "chosen"),
    [
        (False, {"run": "none", "metric": "RMSE", "region": ["Europe", "CONUS"]}),
        (True, {"metric": "R"}),
        (False, {"metric": "KGE", "min_days": 60, "sample": "pairwise"}),
        (False, {"metric": "bias", "season": "summer"}),
        (False, {"metric": "spearman"}),
        (False, {"run": "none", "metric": "anomaly_R", "season": "winter"}),
    ],
)
def test_a_comparison_is_made_again_by_its_lines(store, make_run, other, chosen):
    make_run("20260101-000000-a", title='it\'s the "first"')
    second = make_run("20260102-000000-b", title="second").id
    run = {} if "run" in chosen else {"run": "20260101-000000-a"}
    s = visit(store, **run, **chosen)
    found = compared(store, s, second if other else "")
    code = comparison_script(
        store, s.evaluation, s.filters, found.runs, sample=found.sample(s.sample), metric=s.metric, min_days=s.min_days
    )  # fmt: skip
    made = carry_out(code)["found"]
    for name in ("median", "lower", "win_share", "difference", "score"):
        ours, theirs = (
            found.at(s.sample, s.metric)[name],
            made.sel(sample=found.sample(s.sample), metric=s.metric)[name],
        )
        assert list(ours[v.PRODUCT].values) == list(theirs[v.PRODUCT].values)
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-6, err_msg=name)
    assert np.isfinite(made["score"]).any()


def test_a_median_with_its_interval_is_made_again_by_its_lines(store, make_run):
    make_run("20260101-000000-a")
    s = visit(store, region=["Europe", "CONUS"], product=v.SMAP, metric="ubRMSE")
    made = carry_out(median_script(store, s.evaluation, s.filters, s.product, s.metric, s.min_days))
    told = medians(s.evaluation, s.shown).loc[(v.SMAP, "ubRMSE")]
    np.testing.assert_allclose(made["median"][:3], told[["median", "lower", "upper"]].to_numpy(float))


@pytest.fixture
def wide(store, monkeypatch):
    """The factors ask for twenty sites; the small world has twelve."""
    monkeypatch.setattr("gsm3core.factors.table._MIN_SITES", 5)
    return store


@pytest.mark.parametrize("run", ["", "none"])
def test_strata_and_effects_are_made_again_by_their_lines(wide, make_run, run):
    make_run("20260101-000000-a")
    s = visit(wide, run=run, product=v.SMAP)
    asked = factor_query(wide, s.evaluation, s.shown, s.product, s.metric)
    first, second = asked.quantities[:2]
    bins = Bins()
    cut = [f"first_edges={bins.moisture!r}", f"second_edges={bins.aspect!r}", f"limit={bins.limit!r}"]
    answers = {
        "median": (["effect_surface", repr(first), repr(second)], surface(asked, first, second)["effect"]),
        "effect": (["factor_effect", repr(first), "replicates=12"], effect(asked, first)["effect"]),
        "strata": (["skill_strata", *cut], strata(asked, bins)["first_median"]),
    }
    for answer, told in answers.values():
        code = factor_script(
            wide, s.evaluation, s.filters, s.product, s.metric, min_days=0, moisture="", call=answer
        )
        made = carry_out(code)["found"]
        np.testing.assert_allclose(made[told.name].values, told.values, rtol=1e-6, equal_nan=True)
        assert made.attrs["metric"] == "R"


def test_the_tables_of_the_factors_hold_what_was_worked_out(wide, make_run, tmp_path):
    s = visit(wide, run="none", product=v.SMAP)
    asked = factor_query(wide, s.evaluation, s.shown, s.product, s.metric)
    name, other = asked.quantities[:2]
    curve = effect(asked, name)
    table = effect_table(curve)
    np.testing.assert_allclose(table["effect"], curve["effect"].values + float(curve["average"]))
    assert table["sites"].sum() == int(curve["sites"].sum())
    both = surface(asked, name, other)
    a, b = both["first_edge"].values[1], both["second_edge"].values[0]
    assert surface_table(both).loc[(a, b), "expected"] == pytest.approx(
        float(both["effect"][1, 0]) + float(both["average"])
    )
    found = strata(asked, Bins())
    rows = strata_table(found)
    assert rows.loc[pd.IndexSlice[:, "all"], :]["sites"].sum() == found["first_sites"].sum()
    (tmp_path / "a.nc").write_bytes(tables.results_netcdf(found, ["strata"]).read())
    with xr.open_dataset(tmp_path / "a.nc") as back:
        np.testing.assert_array_equal(back["first_median"], found["first_median"])
        assert back.attrs["about"] == "strata"


def test_medians_of_runs_are_made_again_by_their_lines(store, make_run):
    run = make_run("20260101-000000-a", title="one")
    made = carry_out(runs_script([run]))
    told = median_scores(store, run).loc[v.SM_INSITU]["median"]
    for metric in ("R", "RMSE", "ubRMSE", "bias"):
        assert float(made["scores"][metric].median()) == pytest.approx(told[metric])


def test_losses_as_a_table_have_no_gaps():
    nan = float("nan")
    table = tables.loss_table(LossHistory((1.0, 1.5, 2.0), (0.1, nan, 0.2), (nan, nan, nan), (nan, nan, nan)))
    assert table["in situ"].to_list() == [0.1, 0.2]
    assert table.index.to_list() == [1.0, 2.0]
    text = tables.csv_file(table, ["loss"]).read().decode()
    assert pd.read_csv(io.StringIO(text), comment="#", index_col=0)["in situ"].to_list() == [0.1, 0.2]


def test_two_products_and_the_best_as_tables(store):
    s = visit(store, run="none", metric="RMSE")
    found = compared(store, s)
    two = tables.two_product_table(found, v.SMAP, "SMOS", s.sample, "RMSE")
    np.testing.assert_allclose(two["difference"], two[f"RMSE of {v.SMAP}"] - two["RMSE of SMOS"])
    best = tables.best_product_table(found, v.SMAP, "SMOS", s.sample, "RMSE")
    both = two.dropna()
    wins = np.where(both["difference"] < 0, v.SMAP, "SMOS")
    np.testing.assert_array_equal(best.loc[both.index, "best"], wins)


def test_scripts_survive_quotes_and_other_confidence_levels(tmp_path, dataset):
    from app.services.store import Store
    from gsm3core.config import ExperimentConfig
    from gsm3core.evaluation.scoring import score_on_test_days
    from gsm3core.run import Run
    from gsm3core.schema import save_dataset

    folder = tmp_path / "O'Brien's \"data\""
    names = np.array(["Cote d'Ivoire", 'say "net"', "c", "d", "e", "f"])[np.arange(12) % 6]
    ds = dataset.assign_coords(network=("site", names))
    save_dataset(ds, folder / DATASET)
    store = Store(folder, folder / "runs")
    config = (
        ExperimentConfig().replace("data", dataset=str(folder / DATASET)).replace("scores", confidence=0.8)
    )
    run = Run.create(folder / "runs", config, {"dataset_path": str(folder / DATASET)}, run_id="20260101-a")
    predicted = (ds[v.SM_INSITU].fillna(0.2) + 0.01).astype(np.float32).reset_coords(drop=True)
    in_test = xr.ones_like(predicted, dtype=bool)
    predictions = xr.Dataset({v.SM_PREDICTED: predicted.assign_attrs(units=v.SM_UNITS), v.IN_TEST: in_test})
    run.write_predictions(predictions)
    run.write_scores(
        v.SM_INSITU,
        score_on_test_days(
            store.dataset(DATASET), v.SM_INSITU, {v.MULTITASK_LSTM: predictions}, confidence=0.8
        ),
    )
    s = visit(store, run=run.id, product=v.SMAP, network=["Cote d'Ivoire", 'say "net"', "c", "d", "e"])
    made = carry_out(median_script(store, s.evaluation, s.filters, s.product, s.metric, s.min_days))
    shown = medians(s.evaluation, s.shown).loc[(v.SMAP, "R")]
    np.testing.assert_allclose(made["median"][:3], shown[["median", "lower", "upper"]].to_numpy(float))
    carry_out(runs_script([run]))
    carry_out(
        comparison_script(
            store, s.evaluation, s.filters, {"a 'b' \"c\"": run.id}, sample="pairwise", metric="R"
        )
    )
