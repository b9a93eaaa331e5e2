"""Report: random errors, suspect records and scores by year equal the library's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core import Run, median_interval, score_run, write_report
from gsm3core import vocabulary as v
from gsm3core.schema import open_dataset
from support.planted_triplets import PLANTED, planted_dataset
from support.report_runs import make_run

INVERTED = 4


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    folder = tmp_path_factory.mktemp("report")
    ds = planted_dataset(16, 1000, seed=3)
    ds[v.SM_INSITU][INVERTED] = 1 - ds[v.SM_INSITU][INVERTED]
    run = make_run(folder, ds, "random_spatial", error=0.03)
    return run, write_report([run], folder / "out")


def table(page: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(page.parent / "tables" / f"{name}.csv")


def test_random_errors_are_those_of_the_library(reported: tuple[Run, Path]) -> None:
    run, page = reported
    found = table(page, "triple-collocation").set_index(["product", "metric"])
    scores = score_run(run, metrics=("TC_R", "TC_error"))
    for product in (v.SMAP, v.GLDAS_NOAH, v.AMSR2):
        for metric in ("TC_R", "TC_error"):
            one = scores[metric].sel(product=product)
            expected = median_interval(one.values, one[v.NETWORK].values, metric=metric)
            row = found.loc[(product, metric)]
            np.testing.assert_allclose(row[["median", "lower", "upper"]].to_numpy(float), expected[:3])
        assert found.loc[(product, "TC_error"), "median"] == pytest.approx(PLANTED[product][0], rel=0.1)
        assert found.loc[(product, "TC_error"), "third"] == str(
            scores["TC_third"].sel(product=product).values[0]
        )
    text = page.read_text()
    assert "errors of SoMo.ml and In situ are not independent" in text
    with xr.open_dataset(page.parent / "data" / "triple-collocation.nc", engine="h5netcdf") as written:
        np.testing.assert_array_equal(written["TC_R"], scores["TC_R"])


def test_suspect_record_is_listed_though_the_run_follows_it(reported: tuple[Run, Path]) -> None:
    _, page = reported
    found = table(page, "suspect-records")
    assert found["site"].tolist() == ["s04"] and found["network"].tolist() == ["net"]
    assert found["reason"][0].startswith("unrelated to the products: R to the truth at most 0.00, while")
    assert "Suspect in-situ records: 1 of 16 sites, included in all medians" in page.read_text()


def test_report_says_that_no_record_is_suspect(tmp_path: Path) -> None:
    run = make_run(tmp_path, planted_dataset(8, 600, seed=3), "random_spatial")
    page = write_report([run], tmp_path / "out")
    assert "No in-situ record is suspect" in page.read_text()
    assert not (page.parent / "tables" / "suspect-records.csv").exists()


def test_years_are_medians_over_sites(reported: tuple[Run, Path]) -> None:
    run, page = reported
    found = table(page, "strata-year").query("metric == 'bias'").set_index("year")
    ds, predictions = open_dataset(run.dataset_path).load(), run.predictions()
    for year in (2015, 2016, 2017):
        days = ds[v.TIME].dt.year == year
        error = (
            (predictions[v.SM_PREDICTED] - ds[v.SM_INSITU])
            .where(predictions[v.IN_TEST])
            .isel(time=days.values)
        )
        assert found.loc[year, "median"] == pytest.approx(float(error.mean(v.TIME).median()), abs=1e-7)
