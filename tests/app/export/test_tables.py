"""What is taken away is what is shown: CSV, netCDF, and lines of Python that are really run."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from app.export import tables as taken
from app.export.scripts import python_lines
from app.services.site_filters import shown_sites
from app.session.controller import SessionController
from app.session.selection import Selection
from gsm3core import vocabulary as v

DATASET = "bucket.zarr"
EUROPE = ((-5.0, 40.0), (20.0, 40.0), (20.0, 60.0), (-5.0, 60.0))


class NoActivity:
    def newest_active(self):
        return None


def visit(store, **chosen):
    selection = Selection(**chosen)
    SessionController(selection, store, NoActivity()).load()
    return selection


def lines(store, s):
    return python_lines(store, s.evaluation, s.filters, s.product, s.metric, s.min_days)


@pytest.mark.parametrize(
    "chosen",
    [
        {"run": "none", "product": "SMOS", "metric": "RMSE", "region": ["Europe", "CONUS"]},
        {"product": v.MULTITASK_LSTM, "moisture": (0.1, 0.3), "min_days": 60},
        {"product": v.SMAP, "metric": "spearman", "network": ["net1", "net2"]},
        {"product": v.MULTITASK_LSTM, "metric": "ubRMSE", "season": "summer"},
        {"product": "SMOS", "metric": "anomaly_R", "season": "winter", "moisture": (0.0, 0.4), "moisture_of": "SMOS"},
        {"run": "none", "product": v.SMAP, "metric": "KGE", "land_cover": ["a", "b"], "area": EUROPE},
    ],
)  # fmt: skip
def test_the_lines_of_python_make_the_same_scores(store, make_run, chosen):
    make_run("20260101-000000-a")
    selection = visit(store, **chosen)
    code = lines(store, selection)
    made: dict = {}
    exec(compile(code, "snippet", "exec"), made)
    expected = selection.evaluation.values(selection.product, selection.metric)[selection.shown.mask]
    sites = selection.evaluation.sites.index[selection.shown.mask]
    assert list(made["values"]["site"].values) == list(sites)
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(made["values"].values, expected, rtol=1e-6)


def test_the_lines_run_on_their_own(store):
    selection = visit(store, region=["Europe"])
    done = subprocess.run([sys.executable, "-c", lines(store, selection)], capture_output=True, text=True)
    values = selection.evaluation.values(v.SMAP, "R")[selection.shown.mask]
    assert done.stdout.split() == [
        str(np.isfinite(values).sum()), "sites,", "median", "R", str(float(np.nanmedian(values)))
    ], done.stderr  # fmt: skip


def test_csv_of_the_sites_says_what_it_is(store):
    selection = visit(store, region=["Europe"], product="SMOS")
    head = taken.about(selection.evaluation, selection.shown, "map of sites")
    text = taken.csv(taken.of_sites(selection.evaluation, selection.shown, "SMOS"), head).read().decode()
    assert any(line.startswith("# SIMULATED") for line in text.splitlines())
    assert "# sites: Europe; days: all" in text
    back = pd.read_csv(io.StringIO(text), comment="#", index_col=0)
    assert list(back.index) == list(selection.evaluation.sites.index[selection.shown.mask])
    np.testing.assert_allclose(
        back["R"], selection.evaluation.values("SMOS", "R")[selection.shown.mask], rtol=1e-12
    )


def test_csv_of_one_site_holds_its_records(store, make_run):
    run = make_run("20260101-000000-a")
    series = store.series(DATASET, run.id, "S002")
    table = taken.of_days(series)
    ds = store.dataset(DATASET)
    np.testing.assert_array_equal(table["SMOS"], ds[v.SM_PRODUCT][0, 2].values)
    assert table["test day"].sum() == 200
    assert table.index[0] == str(ds[v.TIME].values[0])[:10]


def test_netcdf_of_the_sites_opens_with_xarray(store, tmp_path):
    selection = visit(store, region=["Europe"])
    path = tmp_path / "sites.nc"
    path.write_bytes(taken.netcdf(store, selection.evaluation, selection.shown).read())
    with xr.open_dataset(path) as back:
        ids = list(selection.evaluation.sites.index[selection.shown.mask])
        assert list(back["site"].values) == ids
        np.testing.assert_array_equal(
            back["score_R"].sel(scored_product="SMOS"),
            selection.evaluation.values("SMOS", "R")[selection.shown.mask],
        )
        np.testing.assert_array_equal(back[v.SM_INSITU], store.dataset(DATASET)[v.SM_INSITU].sel(site=ids))
        assert back[v.SM_INSITU].attrs["units"] == v.SM_UNITS
        assert str(back.attrs["simulated"]).lower() == "true"


def test_too_many_records_stay_at_home(store, monkeypatch, tmp_path):
    monkeypatch.setattr(taken, "MOST_BYTES", 10)
    evaluation = store.evaluation(DATASET, "", v.SM_INSITU)
    made = taken.netcdf(store, evaluation, shown_sites(evaluation, Selection().filters))
    (tmp_path / "s.nc").write_bytes(made.read())
    with xr.open_dataset(tmp_path / "s.nc") as back:
        assert v.SM_INSITU not in back
        assert "score_R" in back
        assert "without their records" in back.attrs["title"]


def test_groups_as_a_table():
    table = taken.of_groups({"a": np.array([1.0, 2.0]), "b": np.array([3.0])}, "R", "region")
    assert table.reset_index().to_numpy().tolist() == [["a", 1.0], ["a", 2.0], ["b", 3.0]]
