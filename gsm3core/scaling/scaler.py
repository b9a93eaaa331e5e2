"""Scaling of inputs and target with statistics of a fold's training data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.scaling.derived import derived_columns
from gsm3core.scaling.inputs import forcing, record_span, require_variables
from gsm3core.scaling.long_term_means import stored_record, with_means

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaler:
    """Scaling of a dataset's variables to the network's inputs, and of its output to m3 m-3.

    Parameters
    ----------
    forcings, attributes
        Name -> (mean, standard deviation) over the training data.
    classes
        Classes of each categorical attribute in the training data; one input column each.
    target
        (mean, standard deviation) of the training soil moisture of all streams, m3 m-3.
    transformed
        The precipitation forcings that are log-transformed.
    fill_forcing
        As in :class:`gsm3core.config.DataConfig`.
    targets
        The training targets with values in the training part, in situ first: the first is what a network predicts.
    flagged
        Inputs with an additional column that is 1 where they are missing.
    kinds, derived
        ``data.derived`` of the configuration, and (mean, standard deviation) of each derived column.
    precipitation
        The forcing of the antecedent precipitation (:func:`gsm3core.schema.precipitation_names`); ``None`` if there is
        none.
    means, mean_days
        Attribute -> daily variable that it averages, and the first and last training day
        (:func:`gsm3core.scaling.long_term_means.with_means`).
    """

    forcings: dict[str, tuple[float, float]]
    attributes: dict[str, tuple[float, float]]
    classes: dict[str, tuple[int, ...]]
    target: tuple[float, float]
    transformed: tuple[str, ...]
    fill_forcing: str
    targets: tuple[str, ...] = v.TARGETS
    flagged: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    derived: dict[str, tuple[float, float]] = field(default_factory=dict)
    precipitation: str | None = None
    means: dict[str, str] = field(default_factory=dict)
    mean_days: tuple[str, str] = ("", "")

    @property
    def n_forcings(self) -> int:
        """Number of dynamic input columns."""
        return len(self.forcings) + len(self.derived) + len(self._flagged(self.forcings))

    @property
    def n_attributes(self) -> int:
        """Number of static input columns, one per class of a categorical attribute."""
        columns = len(self.attributes) + sum(map(len, self.classes.values()))
        return columns + len(self._flagged(self.attributes))

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of the static inputs in the dataset."""
        return (*self.attributes, *self.classes)

    @property
    def notes(self) -> list[str]:
        """How precipitation is used, one sentence each."""
        found = []
        if self.transformed:
            found.append(f"Log-transformed precipitation: {', '.join(self.transformed)}.")
        if self.precipitation and "antecedent_precipitation" in self.kinds:
            found.append(f"Antecedent precipitation: {self.precipitation}.")
        return found

    def _flagged(self, names: Iterable[str]) -> list[str]:
        return [n for n in names if n in self.flagged]

    def scale_forcings(self, ds: xr.Dataset) -> Floats:
        """Return the scaled forcings ``(site, time, forcing)``; a missing value becomes 0, the training mean."""
        require_variables(ds, forcing=self.forcings)
        columns = [
            (forcing(ds, n, transform=n in self.transformed, fill=self.fill_forcing) - mean) / std
            for n, (mean, std) in self.forcings.items()
        ]
        derived = derived_columns(
            ds, self.kinds, self.forcings, transformed=self.transformed, precipitation=self.precipitation
        )
        columns += [(derived[n] - mean) / std for n, (mean, std) in self.derived.items()]
        columns += [np.isnan(ds[n].transpose(v.SITE, v.TIME).values) for n in self._flagged(self.forcings)]
        return np.nan_to_num(np.stack(columns, axis=-1)).astype(np.float32)

    def require_inputs(self, ds: xr.Dataset) -> None:
        """Raise unless the dataset has every input, or the daily record of a long-term mean.

        Raises
        ------
        DatasetError
            Lists all that are missing.
        """
        stored = [
            n
            for n in self.attribute_names
            if n not in self.means or stored_record(ds, n, self.means[n]) is None
        ]
        require_variables(ds, forcing=self.forcings, attribute=stored)

    def scale_attributes(self, ds: xr.Dataset) -> Floats:
        """Return the scaled attributes ``(site, attribute)``; missing becomes 0, an unseen class all zeros.

        Parameters
        ----------
        ds
            With the whole time axis: long-term means are computed from its daily records.
        """
        ds = with_means(ds, self.means, self.mean_days)
        require_variables(ds, attribute=self.attribute_names)
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
        """Write the scaler as JSON, atomically."""
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Scaler:
        """Read what :meth:`save` wrote."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "transform_precipitation" in raw:
            # Runs up to version 0.1 recognised precipitation by this name alone.
            known = [n for n in ("precipitation",) if n in raw["forcings"]]
            raw["transformed"] = known if raw.pop("transform_precipitation") else []
            raw["precipitation"] = next(iter(known), None)
        for key in ("forcings", "attributes", "classes", "derived"):
            raw[key] = {n: tuple(values) for n, values in raw.get(key, {}).items()}
        for key in ("target", "targets", "flagged", "kinds", "transformed", "mean_days"):
            if key in raw:
                raw[key] = tuple(raw[key])
        return cls(**raw)


def missing_inputs(ds: xr.Dataset, scaler: Scaler) -> dict[str, int]:
    """Count the missing values that the scaler fills, by variable; variables without any are left out.

    Days outside a site's record do not count.
    """
    span = record_span(ds, scaler.forcings)
    counts = {
        n: int((np.isnan(ds[n].transpose(v.SITE, v.TIME).values) & span).sum()) for n in scaler.forcings
    }
    ds = with_means(ds, scaler.means, scaler.mean_days)
    counts |= {n: int(np.isnan(ds[n].values.astype(float)).sum()) for n in scaler.attribute_names}
    return {n: c for n, c in counts.items() if c}
