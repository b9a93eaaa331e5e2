"""Files of one fold of a run: weights, scaling, predictions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gsm3core.errors import RunError

PREDICTIONS = "predictions.nc"
TRAINING_PREDICTIONS = "training.nc"


@dataclass(frozen=True, slots=True)
class MemberFiles:
    """Files of one network of a fold.

    Parameters
    ----------
    checkpoint
        Model, optimiser and random states after the last finished epoch.
    model
        The trained network's weights; written when its training has ended.
    """

    checkpoint: Path
    model: Path


@dataclass(frozen=True, slots=True)
class FoldFiles:
    """Files of one fold; none of them needs to exist.

    Parameters
    ----------
    folder
        ``runs/<id>/folds/<name>``.
    """

    folder: Path

    def member(self, number: int) -> MemberFiles:
        """Return the files of one network of the fold; the first is number 0."""
        suffix = f"-{number + 1}" if number else ""
        return MemberFiles(self.folder / f"checkpoint{suffix}.pt", self.folder / f"model{suffix}.pt")

    def models(self) -> list[Path]:
        """Return the weight files of the trained networks, first member first.

        Raises
        ------
        RunError
            If there are none.
        """
        found: list[Path] = []
        while (path := self.member(len(found)).model).exists():
            found.append(path)
        if not found:
            raise RunError(
                f"{self.folder} has no trained network ({path.name}); only LSTM runs can predict other datasets."
            )
        return found

    @property
    def scaler(self) -> Path:
        """Means and standard deviations of the fold's training data."""
        return self.folder / "scaler.json"

    def write_std_factor(self, factor: float) -> None:
        """Write the factor on the predictive standard deviation of this fold's networks, atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self._std_factor.with_suffix(".part")
        partial.write_text(json.dumps({"std_factor": factor}), encoding="utf-8")
        partial.replace(self._std_factor)

    @property
    def std_factor(self) -> float:
        """Factor on the predictive standard deviation, fitted at validation sites; 1 if there are none."""
        # Earlier versions wrote spread.json.
        for path, key in ((self._std_factor, "std_factor"), (self.folder / "spread.json", "spread_factor")):
            if path.exists():
                return float(json.loads(path.read_text(encoding="utf-8"))[key])
        return 1.0

    @property
    def _std_factor(self) -> Path:
        return self.folder / "std_factor.json"

    @property
    def inputs(self) -> Path:
        """Scaled forcings during training if ``training.inputs`` is ``disk``; deleted afterwards."""
        return self.folder / "inputs.zarr"

    @property
    def predictions(self) -> Path:
        """Predictions at the fold's test sites; written when the fold is finished."""
        return self.folder / PREDICTIONS

    @property
    def training_predictions(self) -> Path:
        """Predictions on the training days at the fold's training sites, those in ``Fold.fit_sites``."""
        return self.folder / TRAINING_PREDICTIONS

    @property
    def done(self) -> bool:
        """Whether the fold is finished."""
        return self.predictions.exists()
