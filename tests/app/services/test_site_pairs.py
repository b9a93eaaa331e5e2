"""Paired days of a product and the reference at one site."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from app.server import serve as main
from app.services.site_pairs import paired_days
from app.session.controller import SessionController
from app.session.selection import Selection
from gsm3core import vocabulary as v

DATASET = "bucket.zarr"


class IdleMonitor:
    def newest_active(self):
        return None


@pytest.fixture
def run(make_run):
    main.configure_panel()
    return make_run("20260101-000000-a")


def start_session(store):
    selection = Selection()
    SessionController(selection, store, IdleMonitor()).load()
    return selection


def test_paired_days_reproduce_the_scores(store, run):
    evaluation = start_session(store).evaluation
    series = store.series(DATASET, run.id, "S002")
    at = evaluation.at_site("S002")
    for product in evaluation.products:
        found = paired_days(series, product, v.SM_INSITU)
        error = found.predicted.astype(float) - found.observed
        assert len(error) == at.loc[product, "n_valid"]
        assert error.mean() == pytest.approx(at.loc[product, "bias"], abs=1e-7)
        assert np.sqrt((error**2).mean()) == pytest.approx(at.loc[product, "RMSE"], abs=1e-7)


def test_seasonal_cycle_is_the_monthly_mean(store, run):
    series = store.series(DATASET, run.id, "S002")
    found = paired_days(series, v.SMAP, v.SM_INSITU)
    observed = pd.Series(found.observed.astype(float), pd.DatetimeIndex(found.time))
    months = found.seasonal_cycle()
    assert list(months.index) == list(range(1, 13))
    for month in range(1, 13):
        assert months.loc[month, "observed"] == pytest.approx(
            observed[observed.index.month == month].mean(), nan_ok=True
        )
