"""Hypothesis strategies shared by the tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

GAPPY = {"min_value": 0.0, "max_value": 1.0, "width": 32, "allow_nan": False}


@st.composite
def gappy_pairs(
    draw: st.DrawFn, min_days: int = 0, max_days: int = 60
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two soil-moisture series of one length, each with its own gaps."""
    n = draw(st.integers(min_days, max_days))
    series = []
    for _ in range(2):
        values = draw(hnp.arrays(np.float64, n, elements=st.floats(**GAPPY)))
        gaps = draw(hnp.arrays(np.bool_, n, elements=st.booleans()))
        series.append(np.where(gaps, np.nan, values))
    return series[0], series[1]
