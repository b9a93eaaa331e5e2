"""Everything that is drawn at one site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from app.services.scoring import own_product
from app.services.site_table import attributes_at
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.run import Run
from gsm3core.schema import products

PRECIPITATION = "precipitation"

Series = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SiteSeries:
    """Everything that is drawn at one site, on the days of the dataset.

    Parameters
    ----------
    time
        Days.
    records
        In-situ and satellite records and other products, by name; NaN is missing.
    own
        What the run's prediction is called among the products; empty without a run.
    predicted, spread, in_test, fold
        The run's prediction, its standard deviation where the run tells it, the days that test it, its fold;
        ``None`` and empty without a run.
    spread_learnt
        Whether the run learnt how wide that must be at sites that it held back; if not, it is too narrow.
    precipitation
        mm a day, where the dataset has it.
    lat
        Degrees.
    attributes
        What the dataset knows of the place: name and value, as a reader says them.
    """

    time: NDArray[np.datetime64]
    records: dict[str, Series]
    own: str
    predicted: Series | None
    spread: Series | None
    in_test: NDArray[np.bool_] | None
    fold: str
    spread_learnt: bool
    precipitation: Series | None
    lat: float
    attributes: dict[str, str]

    def of(self, product: str) -> Series | None:
        """Return the record or prediction of a product; ``None`` where there is none here."""
        return self.predicted if self.own and product == self.own else self.records.get(product)


def read_series(ds: xr.Dataset, site: str, run: Run | None, predictions: xr.Dataset | None) -> SiteSeries:
    """Read one site.

    Parameters
    ----------
    ds
        The dataset.
    site
        Id of a site.
    run, predictions
        A run and what it predicts; ``None`` for the records alone.

    Raises
    ------
    DatasetError
        If there is no such site.
    """
    ids = ds[v.SITE].values.astype(str)
    position = np.flatnonzero(ids == site)
    if not position.size:
        name = ds.encoding.get("source", "The dataset")
        raise DatasetError(f"{name} has no site {site!r}. {did_you_mean(site, map(str, ids))}")
    at = ds.isel({v.SITE: int(position[0])})
    records = {v.IN_SITU: at[v.SM_INSITU].values} if v.SM_INSITU in at else {}
    records |= {name: record.values for name, record in products(at).items()}
    predicted = spread = in_test = None
    fold = ""
    if run is not None and predictions is not None:
        found = np.flatnonzero(predictions[v.SITE].values.astype(str) == site)
        if found.size:
            here = predictions.isel({v.SITE: int(found[0])}).reindex({v.TIME: ds[v.TIME]})
            predicted = here[v.SM_PREDICTED].values
            spread = here[v.SM_PREDICTED_STD].values if v.SM_PREDICTED_STD in here else None
            in_test = np.nan_to_num(here[v.IN_TEST].values.astype(float)).astype(bool)
            fold = str(here[v.FOLD].values) if v.FOLD in here.coords else ""
    return SiteSeries(
        time=ds[v.TIME].values,
        records=records,
        own=own_product(run) if run is not None else "",
        predicted=predicted,
        spread=spread,
        in_test=in_test,
        fold=fold,
        spread_learnt=run is not None and run.config.training.validation_share > 0,
        precipitation=at[PRECIPITATION].values if PRECIPITATION in at else None,
        lat=float(at[v.LAT]),
        attributes=attributes_at(ds, int(position[0])),
    )
