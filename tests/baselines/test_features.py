"""The features of gradient boosting, against pandas and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.baselines.features import LAGS, MEANS, feature_table, lagged
from gsm3core.scaling.derived import DECAYS
from support.small_world import make_dataset


@st.composite
def gappy(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    shape = draw(st.integers(1, 4)), draw(st.integers(100, 160))
    values = rng.gamma(0.5, 10, shape) + draw(st.sampled_from([0.0, 290.0, 101_325.0]))
    return np.where(rng.random(shape) < draw(st.sampled_from([0, 0.1, 0.9, 1])), np.nan, values)


@given(gappy(), st.sampled_from(LAGS))
def test_lags_match_pandas_shift(values: np.ndarray, days: int) -> None:
    expected = pd.DataFrame(values.T).shift(days).to_numpy().T
    np.testing.assert_array_equal(lagged(values, days), expected)


def test_rows_match_their_columns() -> None:
    ds = make_dataset(4, 120)
    ds["precipitation"][1, 30:40] = np.nan
    table = feature_table(ds, ["air_temperature", "precipitation"], ["clay", "land_cover"], np.ones(4, bool))
    rows = table.rows(ds)
    assert (
        rows.shape
        == (4, 120, len(table.columns))
        == (4, 120, 2 * (1 + len(LAGS) + len(MEANS)) + len(DECAYS) + 4)
    )
    index = {name: rows[..., k] for k, name in enumerate(table.columns)}
    rain = ds["precipitation"].values
    np.testing.assert_array_equal(index["precipitation"], rain)
    assert index["precipitation, 3 d before"][1, 60] == rain[1, 57]
    assert index["precipitation, mean of 7 d"][2, 50] == pytest.approx(rain[2, 44:51].mean(), rel=1e-6)
    assert np.isnan(index["precipitation, 5 d before"][1, 35:45]).all()
    first_july = int(np.flatnonzero(ds["time"].values == np.datetime64("2015-07-01"))[0])
    assert index["season, sine"][0, first_july] == pytest.approx(np.sin(2 * np.pi * 182 / 365.25), abs=1e-6)
    np.testing.assert_array_equal(index["clay"], np.repeat(ds["clay"].values[:, None], 120, axis=1))


def test_classes_are_those_of_training_sites() -> None:
    ds = make_dataset(6, 100)
    ds["land_cover"][:] = [1, 10, 12, 10, 1, 10]
    train = np.array([True, True, False, True, True, True])
    table = feature_table(ds, ["precipitation"], ["land_cover"], train)
    assert table.classes == {"land_cover": (1.0, 10.0)}
    numbers = table.rows(ds)[:, 0, table.columns.index("land_cover")]
    np.testing.assert_array_equal(numbers, [0, 1, np.nan, 1, 0, 1])
    assert [c for c, is_class in zip(table.columns, table.categorical, strict=True) if is_class] == [
        "land_cover"
    ]
