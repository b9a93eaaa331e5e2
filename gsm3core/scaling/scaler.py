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
    transform_precipitation, fill_forcing
        As in :class:`gsm3core.config.DataConfig`.
    targets
        The training targets with values in the training part, in situ first: the first is what a network predicts.
    flagged
        Inputs with an additional column that is 1 where they are missing.
    kinds, derived
        ``data.derived`` of the configuration, and (mean, standard deviation) of each derived column.
    """

    forcings: dict[str, tuple[float, float]]
    attributes: dict[str, tuple[float, float]]
    classes: dict[str, tuple[int, ...]]
    target: tuple[float, float]
    transform_precipitation: bool
    fill_forcing: str
    targets: tuple[str, ...] = v.TARGETS
    flagged: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    derived: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def n_forcings(self) -> int:
        """Number of dynamic input columns."""
        return len(self.forcings) + len(self.derived) + len(self._flagged(self.forcings))

    @property
    def n_attributes(self) -> int:
        """Number of static input columns, one per class of a categorical attribute."""
        columns = len(self.attributes) + sum(map(len, self.classes.values()))
        return columns + len(self._flagged(self.attributes))

    def _flagged(self, names: Iterable[str]) -> list[str]:
        return [n for n in names if n in self.flagged]

    def scale_forcings(self, ds: xr.Dataset) -> Floats:
        """Return the scaled forcings ``(site, time, forcing)``; a missing value becomes 0, the training mean."""
        require_variables(ds, self.forcings, "forcing")
        columns = [
            (forcing(ds, n, transform=self.transform_precipitation, fill=self.fill_forcing) - mean) / std
            for n, (mean, std) in self.forcings.items()
        ]
        derived = derived_columns(ds, self.kinds, self.forcings, transform=self.transform_precipitation)
        columns += [(derived[n] - mean) / std for n, (mean, std) in self.derived.items()]
        columns += [np.isnan(ds[n].transpose(v.SITE, v.TIME).values) for n in self._flagged(self.forcings)]
        return np.nan_to_num(np.stack(columns, axis=-1)).astype(np.float32)

    def scale_attributes(self, ds: xr.Dataset) -> Floats:
        """Return the scaled attributes ``(site, attribute)``; missing becomes 0, an unseen class all zeros."""
        require_variables(ds, [*self.attributes, *self.classes], "attribute")
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
        for key in ("forcings", "attributes", "classes", "derived"):
            raw[key] = {n: tuple(values) for n, values in raw.get(key, {}).items()}
        for key in ("target", "targets", "flagged", "kinds"):
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
    static = (*scaler.attributes, *scaler.classes)
    counts |= {n: int(np.isnan(ds[n].values.astype(float)).sum()) for n in static}
    return {n: c for n, c in counts.items() if c}
