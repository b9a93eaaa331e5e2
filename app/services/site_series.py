"""Time series and attributes of one site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from app.services.scoring import own_product
from app.services.site_table import attributes_at
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.evaluation.day_masks import masked_days
from gsm3core.run import Run
from gsm3core.schema import daily_precipitation, precipitation_names, products, target_names

Series = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SiteSeries:
    """Time series and attributes of one site.

    Parameters
    ----------
    time
        Days of the dataset.
    records
        In situ and product records by name, m3 m-3; NaN is missing.
    own
        Name of the run's prediction among the products; empty without a run.
    predicted, std, in_test, fold
        The run's prediction, its predictive standard deviation if the run has one, its test days, and the fold that
        tests the site; ``None`` or empty without a run.
    std_calibrated
        Whether the standard deviation was scaled at validation sites; if not, it is too small at unseen sites.
    precipitation
        mm per day, of the forcing that derived inputs use (:func:`gsm3core.schema.precipitation_names`), if the dataset
        has any.
    lat
        Degrees.
    attributes
        Site attributes as text, by label.
    masked
        Days that a mask leaves out, by reference, mask and name of the product, see
        :func:`gsm3core.evaluation.day_masks.masked_days`.
    """

    time: NDArray[np.datetime64]
    records: dict[str, Series]
    own: str
    predicted: Series | None
    std: Series | None
    in_test: NDArray[np.bool_] | None
    fold: str
    std_calibrated: bool
    precipitation: Series | None
    lat: float
    attributes: dict[str, str]
    masked: dict[tuple[str, str, str], NDArray[np.bool_]] = field(default_factory=dict)

    def of(self, product: str) -> Series | None:
        """Return the record or prediction of a product; ``None`` if the site has none."""
        return self.predicted if self.own and product == self.own else self.records.get(product)


def read_series(
    ds: xr.Dataset,
    site: str,
    run: Run | None,
    predictions: xr.Dataset | None,
    mask_sources: Mapping[str, str] | None = None,
) -> SiteSeries:
    """Return the series of one site.

    Parameters
    ----------
    ds
        The dataset.
    site
        Site id.
    run, predictions
        A run and its predictions; ``None`` for the records alone.
    mask_sources
        Variable of the dataset that gives each mask of days.

    Raises
    ------
    DatasetError
        If the dataset has no such site.
    """
    ids = ds[v.SITE].values.astype(str)
    position = np.flatnonzero(ids == site)
    if not position.size:
        name = ds.encoding.get("source", "The dataset")
        raise DatasetError(f"{name} has no site {site!r}. {did_you_mean(site, map(str, ids))}")
    at = ds.isel({v.SITE: int(position[0])})
    records = {v.IN_SITU: at[v.SM_INSITU].values} if v.SM_INSITU in at else {}
    records |= {name: record.values for name, record in products(at).items()}
    predicted = std = in_test = None
    fold = ""
    if run is not None and predictions is not None:
        found = np.flatnonzero(predictions[v.SITE].values.astype(str) == site)
        if found.size:
            here = predictions.isel({v.SITE: int(found[0])}).reindex({v.TIME: ds[v.TIME]})
            predicted = here[v.SM_PREDICTED].values
            std = here[v.SM_PREDICTED_STD].values if v.SM_PREDICTED_STD in here else None
            in_test = np.nan_to_num(here[v.IN_TEST].values.astype(float)).astype(bool)
            fold = str(here[v.FOLD].values) if v.FOLD in here.coords else ""
    return SiteSeries(
        time=ds[v.TIME].values,
        records=records,
        own=own_product(run) if run is not None else "",
        predicted=predicted,
        std=std,
        in_test=in_test,
        fold=fold,
        std_calibrated=run is not None and run.config.training.validation_share > 0,
        precipitation=_precipitation(ds, int(position[0])),
        lat=float(at[v.LAT]),
        attributes=attributes_at(ds, int(position[0])),
        masked=_masked(
            ds.isel({v.SITE: position[:1]}),
            [*records, *([own_product(run)] if run is not None else [])],
            mask_sources or {},
        ),
    )


def _masked(
    ds: xr.Dataset, names: list[str], sources: Mapping[str, str]
) -> dict[tuple[str, str, str], NDArray[np.bool_]]:
    """Return the days left out at a dataset's only site."""
    found: dict[tuple[str, str, str], NDArray[np.bool_]] = {}
    for mask in [name for name, source in sources.items() if source]:
        for reference in target_names(ds):
            days = masked_days(ds, reference, names, [mask])[:, 0]
            found |= {(reference, mask, name): days[k] for k, name in enumerate(names)}
    return found


def _precipitation(ds: xr.Dataset, site: int) -> Series | None:
    names = precipitation_names(ds)
    return daily_precipitation(ds.isel({v.SITE: [site]}), names[0])[0] if names else None
