"""Features of gradient boosting: forcings, their lags and means, season and site attributes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.scaling.derived import DECAYS, Floats, antecedent_mean, moving_mean, season
from gsm3core.schema import daily_precipitation, is_categorical, precipitation_names

LAGS = (1, 2, 3, 5, 7)
MEANS = (7, 30, 90)
# The limit of scikit-learn's histogram boosting for a categorical column, numbered from 0.
_MOST_CLASSES = 255


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The feature columns and how to compute them; none depends on soil moisture.

    Parameters
    ----------
    forcings, attributes
        Names in the dataset.
    classes
        Classes of each categorical attribute at the training sites; their position is the class number.
    precipitation
        The forcing of the antecedent precipitation; ``None`` if there is none.
    """

    forcings: tuple[str, ...]
    attributes: tuple[str, ...]
    classes: dict[str, tuple[float, ...]]
    precipitation: str | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        daily = [
            column
            for name in self.forcings
            for column in (
                name,
                *(f"{name}, {lag} d before" for lag in LAGS),
                *(f"{name}, mean of {window} d" for window in MEANS),
            )
        ]
        if self.precipitation:
            daily += [f"antecedent {self.precipitation}, {decay:g} a day" for decay in DECAYS]
        return [*daily, "season, sine", "season, cosine", *self.attributes]

    @property
    def categorical(self) -> list[bool]:
        """Whether each column holds class numbers."""
        return [name in self.classes for name in self.columns]

    def rows(self, ds: xr.Dataset) -> NDArray[np.float32]:
        """Return the columns of every site and day, ``(site, time, column)``; missing is NaN.

        Parameters
        ----------
        ds
            Sites of a SiteDataset, with the whole time axis: lags and means use previous days.
        """
        shape = ds.sizes[v.SITE], ds.sizes[v.TIME]
        table = np.empty((*shape, len(self.columns)), np.float32)
        columns: list[Floats] = []
        for name in self.forcings:
            daily = ds[name].transpose(v.SITE, v.TIME).values.astype(float)
            columns += [daily, *(lagged(daily, n) for n in LAGS), *(moving_mean(daily, n) for n in MEANS)]
        if self.precipitation:
            rain = daily_precipitation(ds, self.precipitation)
            columns += [antecedent_mean(rain, decay) for decay in DECAYS]
        columns += season(ds)
        columns += [self._static(ds[name], name)[:, None] for name in self.attributes]
        for k, column in enumerate(columns):
            table[:, :, k] = column
        return table

    def _static(self, attribute: xr.DataArray, name: str) -> Floats:
        values = attribute.values.astype(float)
        if name not in self.classes:
            return values
        # A class without training sites is missing, as in the network's inputs.
        number = np.full(values.shape, np.nan)
        for k, known in enumerate(self.classes[name]):
            number[values == known] = k
        return number


def feature_table(
    ds: xr.Dataset, forcings: list[str], attributes: list[str], train_sites: NDArray[np.bool_]
) -> FeatureTable:
    """Return the feature table of a dataset.

    Parameters
    ----------
    train_sites
        ``(site)`` mask; categorical attributes have the classes found there.
    """
    classes = {}
    for name in attributes:
        if is_categorical(ds[name]):
            values = ds[name].values.astype(float)[train_sites]
            found = np.unique(values[np.isfinite(values)])
            if 0 < len(found) <= _MOST_CLASSES:
                classes[name] = tuple(found.tolist())
    rain = next(iter(precipitation_names(ds, forcings)), None)
    return FeatureTable(tuple(forcings), tuple(attributes), classes, rain)


def lagged(daily_ST: Floats, days: int) -> Floats:
    """Return the values of ``days`` days before; NaN at the start of the record."""
    out = np.full_like(daily_ST, np.nan)
    out[:, days:] = daily_ST[:, :-days]
    return out
