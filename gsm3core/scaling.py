"""Per-fold scaling: means and standard deviations that have seen the fold's training data alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import DataConfig
from gsm3core.errors import DatasetError, TrainingError, did_you_mean
from gsm3core.holdouts.base import Fold
from gsm3core.schema import attribute_names, forcing_names, is_categorical, target_names

_PRECIPITATION = "precipitation"
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaler:
    """What turns a dataset's variables into the network's inputs, and its output into m3 m-3.

    Parameters
    ----------
    forcings, attributes
        Name -> (mean, standard deviation) over the training data.
    classes
        Categorical attribute -> the classes seen in training; one input column each.
    target
        (mean, standard deviation) of the training soil moisture of all streams, m3 m-3.
    transform_precipitation, fill_forcing
        As in :class:`gsm3core.config.DataConfig`.
    targets
        The records that have a value to learn from in the training part, in-situ first where it is one of them: the
        first is what a network predicts.
    flagged
        Inputs with one more column, 1 where they are missing.
    """

    forcings: dict[str, tuple[float, float]]
    attributes: dict[str, tuple[float, float]]
    classes: dict[str, tuple[int, ...]]
    target: tuple[float, float]
    transform_precipitation: bool
    fill_forcing: str
    targets: tuple[str, ...] = v.TARGETS
    flagged: tuple[str, ...] = ()

    @property
    def n_forcings(self) -> int:
        """Number of dynamic input columns."""
        return len(self.forcings) + len(self._flagged(self.forcings))

    @property
    def n_attributes(self) -> int:
        """Number of static input columns, one per class of a categorical attribute."""
        columns = len(self.attributes) + sum(map(len, self.classes.values()))
        return columns + len(self._flagged(self.attributes))

    def _flagged(self, names: Iterable[str]) -> list[str]:
        return [n for n in names if n in self.flagged]

    def scale_forcings(self, ds: xr.Dataset) -> Floats:
        """Return the scaled forcings ``(site, time, forcing)``; a missing value becomes 0, the training mean."""
        _require(ds, self.forcings, "forcing")
        columns = [
            (_forcing(ds, n, transform=self.transform_precipitation, fill=self.fill_forcing) - mean) / std
            for n, (mean, std) in self.forcings.items()
        ]
        columns += [np.isnan(ds[n].transpose(v.SITE, v.TIME).values) for n in self._flagged(self.forcings)]
        return np.nan_to_num(np.stack(columns, axis=-1)).astype(np.float32)

    def scale_attributes(self, ds: xr.Dataset) -> Floats:
        """Return the scaled attributes ``(site, attribute)``; missing becomes 0, an unseen class all zeros."""
        _require(ds, [*self.attributes, *self.classes], "attribute")
        columns = [
            (ds[n].values.astype(np.float64) - mean) / std for n, (mean, std) in self.attributes.items()
        ]
        columns += [ds[n].values == c for n, classes in self.classes.items() for c in classes]
        columns += [np.isnan(ds[n].values.astype(float)) for n in self._flagged(self.attributes)]
        if not columns:
            return np.zeros((ds.sizes[v.SITE], 0), np.float32)
        return np.nan_to_num(np.stack([np.asarray(c, np.float64) for c in columns], axis=-1)).astype(
            np.float32
        )

    def save(self, path: Path) -> None:
        """Write the scaler as JSON, whole or not at all."""
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Scaler:
        """Read what :meth:`save` wrote."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for key in ("forcings", "attributes", "classes"):
            raw[key] = {n: tuple(values) for n, values in raw[key].items()}
        for key in ("target", "targets", "flagged"):
            if key in raw:
                raw[key] = tuple(raw[key])
        return cls(**raw)


def fit_scaler(ds: xr.Dataset, fold: Fold, config: DataConfig) -> Scaler:
    """Fit the scaling on a fold's training sites and training days.

    Parameters
    ----------
    ds
        The dataset.
    fold
        Only its training sites and days are read.
    config
        Which variables, and how precipitation and gaps are treated.

    Raises
    ------
    DatasetError
        If the configuration names a variable that the dataset does not have.
    TrainingError
        If the training part has no soil moisture, or a forcing has no value there.
    """
    forcings = list(config.forcings) if config.forcings is not None else forcing_names(ds)
    attributes = list(config.attributes) if config.attributes is not None else attribute_names(ds)
    targets = list(config.targets) if config.targets is not None else target_names(ds)
    for names, what in ((forcings, "forcing"), (attributes, "attribute"), (targets, "target")):
        _require(ds, names, what)
    if not forcings:
        raise DatasetError(
            "The dataset has no forcing to learn from: expected at least one (site, time) input."
        )
    train = ds[[*forcings, *attributes, *targets]].isel({v.SITE: fold.train_sites, v.TIME: fold.train_days})
    # A record where a site has no forcings teaches nothing: no network runs there.
    span = record_span(ds, forcings)[np.ix_(fold.train_sites, fold.train_days)]
    known = {n: np.where(span, train[n].transpose(v.SITE, v.TIME).values, np.nan) for n in targets}
    return Scaler(
        forcings={
            n: _moments(_forcing(train, n, transform=config.transform_precipitation, fill="mean"), n)
            for n in forcings
        },
        attributes={
            n: _moments(train[n].values, n, constant_if_missing=True)
            for n in attributes
            if not is_categorical(ds[n])
        },
        classes={n: _classes(train[n]) for n in attributes if is_categorical(ds[n])},
        target=_moments(np.concatenate([known[n].ravel() for n in targets]), " and ".join(targets)),
        transform_precipitation=config.transform_precipitation,
        fill_forcing=config.fill_forcing,
        targets=tuple(
            sorted((n for n in targets if np.isfinite(known[n]).any()), key=lambda n: n != v.SM_INSITU)
        ),
        flagged=_with_gaps(train, forcings, attributes) if config.flag_missing else (),
    )


def record_span(ds: xr.Dataset, forcings: Iterable[str]) -> NDArray[np.bool_]:
    """Return each site's own record ``(site, time)``: from its first to its last day with any forcing.

    Joined datasets have sites with different periods on one time axis; a model neither trains nor predicts
    where a site has no forcings at all.
    """
    known = np.zeros((ds.sizes[v.SITE], ds.sizes[v.TIME]), bool)
    for name in forcings:
        known |= np.isfinite(ds[name].transpose(v.SITE, v.TIME).values)
    after_first = np.maximum.accumulate(known, axis=1)
    before_last = np.maximum.accumulate(known[:, ::-1], axis=1)[:, ::-1]
    return after_first & before_last


def missing_inputs(ds: xr.Dataset, scaler: Scaler) -> dict[str, int]:
    """Count the missing values that the scaler fills, per variable; those with none are left out.

    Parameters
    ----------
    ds, scaler
        The dataset and what reads it. Days outside a site's own record are not missing, there is no record.
    """
    span = record_span(ds, scaler.forcings)
    counts = {
        n: int((np.isnan(ds[n].transpose(v.SITE, v.TIME).values) & span).sum()) for n in scaler.forcings
    }
    static = (*scaler.attributes, *scaler.classes)
    counts |= {n: int(np.isnan(ds[n].values.astype(float)).sum()) for n in static}
    return {n: c for n, c in counts.items() if c}


def _forcing(ds: xr.Dataset, name: str, *, transform: bool, fill: str) -> NDArray[np.float64]:
    array = ds[name].transpose(v.SITE, v.TIME).astype(np.float64)
    if fill == "interpolate":
        array = array.interpolate_na(v.TIME, max_gap=np.timedelta64(8, "D"))
    values: NDArray[np.float64] = array.values
    if name == _PRECIPITATION and transform:
        values = np.log10(np.sqrt(np.maximum(values, 0)) + 0.1)
    return values


def _moments(values: NDArray[Any], name: str, *, constant_if_missing: bool = False) -> tuple[float, float]:
    known = values[np.isfinite(values)].astype(np.float64)
    if known.size == 0:
        if constant_if_missing:
            return 0.0, 1.0
        raise TrainingError(
            f"{name} has no value at the training sites on the training days; check the holdout's periods."
        )
    std = float(known.std())
    return float(known.mean()), std if std > 1e-12 * (1 + abs(float(known.mean()))) else 1.0


def _with_gaps(train: xr.Dataset, forcings: list[str], attributes: list[str]) -> tuple[str, ...]:
    """Return the numeric inputs that are missing somewhere; days on which a site has no forcing at all are no gap."""
    known = {n: train[n].transpose(v.SITE, v.TIME).notnull().values for n in forcings}
    recorded = np.logical_or.reduce(list(known.values()))
    gappy = [n for n in forcings if (recorded & ~known[n]).any()]
    numeric = [n for n in attributes if not is_categorical(train[n])]
    return (*gappy, *(n for n in numeric if train[n].isnull().any()))


def _classes(variable: xr.DataArray) -> tuple[int, ...]:
    values = variable.values.astype(float)
    return tuple(int(c) for c in np.unique(values[np.isfinite(values)]))


def _require(ds: xr.Dataset, names: Any, what: str) -> None:
    has = {"forcing": forcing_names, "attribute": attribute_names, "target": target_names}[what](ds)
    for name in names:
        # By what it is, not only by its name: soil moisture is no forcing, and nothing else is a target.
        if name not in has:
            there = f"It has: {', '.join(has) or 'none'}."
            if name in ds:
                raise DatasetError(f"{name!r} is no {what} of the dataset. {there}")
            raise DatasetError(f"{what} {name!r} is not in the dataset. {did_you_mean(name, has)} {there}")
