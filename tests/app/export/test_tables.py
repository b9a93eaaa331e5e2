"""Exported CSV, netCDF and Python code match the numbers on the page."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from app.export import tables
from app.export.scripts import site_script
from app.services.site_filters import shown_sites
from app.session.controller import SessionController
from app.session.selection import Selection
from gsm3core import vocabulary as v

DATASET = "bucket.zarr"
EUROPE = ((-5.0, 40.0), (20.0, 40.0), (20.0, 60.0), (-5.0, 60.0))


class IdleMonitor:
    def newest_active(self):
        return None


def start_session(store, **chosen):
    selection = Selection(**chosen)
    SessionController(selection, store, IdleMonitor()).load()
    return selection


def code_of(store, s):
    return site_script(store, s.evaluation, s.filters, s.product, s.metric, s.min_days)


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
def test_exported_code_reproduces_the_scores(store, make_run, chosen):
    make_run("20260101-000000-a")
    selection = start_session(store, **chosen)
    code = code_of(store, selection)
    made: dict = {}
    exec(compile(code, "snippet", "exec"), made)
    expected = selection.evaluation.values(selection.product, selection.metric)[selection.shown.mask]
    sites = selection.evaluation.sites.index[selection.shown.mask]
    assert list(made["values"]["site"].values) == list(sites)
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(made["values"].values, expected, rtol=1e-6)


def test_exported_code_runs_in_a_new_process(store):
    selection = start_session(store, region=["Europe"])
    done = subprocess.run([sys.executable, "-c", code_of(store, selection)], capture_output=True, text=True)
    values = selection.evaluation.values(v.SMAP, "R")[selection.shown.mask]
    assert done.stdout.split() == [
        str(np.isfinite(values).sum()), "sites,", "median", "R", str(float(np.nanmedian(values)))
    ], done.stderr  # fmt: skip


def test_csv_of_sites_has_a_header(store):
    selection = start_session(store, region=["Europe"], product="SMOS")
    head = tables.header_lines(selection.evaluation, selection.shown, "map of sites")
    text = (
        tables.csv_file(tables.score_table(selection.evaluation, selection.shown, "SMOS"), head)
        .read()
        .decode()
    )
    assert any(line.startswith("# SIMULATED") for line in text.splitlines())
    assert "# sites: Europe; days: all days" in text
    back = pd.read_csv(io.StringIO(text), comment="#", index_col=0)
    assert list(back.index) == list(selection.evaluation.sites.index[selection.shown.mask])
    np.testing.assert_allclose(
        back["R"], selection.evaluation.values("SMOS", "R")[selection.shown.mask], rtol=1e-12
    )


def test_csv_of_one_site_has_its_records(store, make_run):
    run = make_run("20260101-000000-a")
    series = store.series(DATASET, run.id, "S002")
    table = tables.day_table(series)
    ds = store.dataset(DATASET)
    np.testing.assert_array_equal(table["SMOS"], ds[v.SM_PRODUCT][0, 2].values)
    assert table["test day"].sum() == 200
    assert table.index[0] == str(ds[v.TIME].values[0])[:10]


def test_netcdf_of_sites_has_scores_and_records(store, tmp_path):
    selection = start_session(store, region=["Europe"])
    path = tmp_path / "sites.nc"
    path.write_bytes(tables.sites_netcdf(store, selection.evaluation, selection.shown).read())
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


def test_netcdf_leaves_out_too_large_records(store, monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "MAX_RECORD_BYTES", 10)
    evaluation = store.evaluation(DATASET, "", v.SM_INSITU)
    made = tables.sites_netcdf(store, evaluation, shown_sites(evaluation, Selection().filters))
    (tmp_path / "s.nc").write_bytes(made.read())
    with xr.open_dataset(tmp_path / "s.nc") as back:
        assert v.SM_INSITU not in back
        assert "score_R" in back
        assert "without records" in back.attrs["title"]


def test_group_table_has_one_row_per_site():
    table = tables.group_table({"a": np.array([1.0, 2.0]), "b": np.array([3.0])}, "R", "region")
    assert table.reset_index().to_numpy().tolist() == [["a", 1.0], ["a", 2.0], ["b", 3.0]]
