"""The Run directory: one experiment on disk, and the only owner of its file names."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError, RunError, did_you_mean
from gsm3core.files import atomic_write

_CONFIG = "config.toml"
_PROVENANCE = "provenance.json"
_EVENTS = "events.jsonl"
_PREDICTIONS = "predictions.nc"
_LOG = "log.txt"
_START = "start"

ENDED = {"run_finished": "finished", "run_failed": "failed", "run_cancelled": "cancelled"}


@dataclass(frozen=True, slots=True)
class MemberFiles:
    """Where one network of a fold keeps its files.

    Parameters
    ----------
    checkpoint
        Model, optimiser and random states after the last finished epoch.
    model
        The fitted network's weights alone; written when its training has ended.
    """

    checkpoint: Path
    model: Path


@dataclass(frozen=True, slots=True)
class FoldFiles:
    """Where one fold keeps its files.

    Parameters
    ----------
    folder
        ``runs/<id>/folds/<name>``.
    """

    folder: Path

    def member(self, number: int) -> MemberFiles:
        """Return where one network of the fold keeps its files; the first is number 0."""
        after = f"-{number + 1}" if number else ""
        return MemberFiles(self.folder / f"checkpoint{after}.pt", self.folder / f"model{after}.pt")

    def models(self) -> list[Path]:
        """Return the fitted networks, first member first.

        Raises
        ------
        RunError
            If there is none.
        """
        found: list[Path] = []
        while (path := self.member(len(found)).model).exists():
            found.append(path)
        if not found:
            raise RunError(
                f"{self.folder} has no fitted network ({path.name}); only runs of the LSTM predict other datasets."
            )
        return found

    @property
    def scaler(self) -> Path:
        """Means and standard deviations from the fold's training data."""
        return self.folder / "scaler.json"

    def write_spread_factor(self, factor: float) -> None:
        """Keep what the spread of this fold's networks is multiplied by, whole or not at all."""
        beside = self._spread.with_suffix(".part")
        beside.write_text(json.dumps({"spread_factor": factor}), encoding="utf-8")
        beside.replace(self._spread)

    @property
    def spread_factor(self) -> float:
        """What the spread of this fold's networks is multiplied by; 1 without held-back sites to learn it from."""
        if not self._spread.exists():
            return 1.0
        return float(json.loads(self._spread.read_text(encoding="utf-8"))["spread_factor"])

    @property
    def _spread(self) -> Path:
        return self.folder / "spread.json"

    @property
    def inputs(self) -> Path:
        """Scaled forcings while the fold trains, where they do not fit into memory; gone when it is done."""
        return self.folder / "inputs.zarr"

    @property
    def predictions(self) -> Path:
        """What the fold predicts at the sites that it tests; written when the fold is done."""
        return self.folder / _PREDICTIONS

    @property
    def done(self) -> bool:
        """Whether the fold is finished."""
        return self.predictions.exists()


class Run:
    """One experiment on disk.

    Parameters
    ----------
    folder
        The run's directory; use :meth:`create` or :meth:`open`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = ExperimentConfig.load(folder / _CONFIG)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}: {self.title}, {self.state})"

    @classmethod
    def create(
        cls,
        root: str | Path,
        config: ExperimentConfig,
        provenance: dict[str, Any],
        *,
        run_id: str | None = None,
        start: Mapping[str, FoldFiles] | None = None,
    ) -> Run:
        """Make a new run directory; never touches an existing one.

        Parameters
        ----------
        root
            Folder of all runs.
        config
            The experiment.
        provenance
            JSON-able: versions, commit, device, seed, dataset hash.
        run_id
            Its name; a time stamp and the holdout's name by default.
        start
            Of a fine-tuning: fold -> the fold of another run whose networks and scaling it starts from. They are
            copied, so that the run stands alone.

        Raises
        ------
        RunError
            If the run exists.
        """
        run_id = run_id or new_run_id(config)
        folder = Path(root) / run_id
        beside = folder.with_name(f".{run_id}.{secrets.token_hex(4)}")
        if folder.exists():
            raise RunError(f"{folder} exists; runs are never overwritten. Choose another id, or resume it.")
        beside.mkdir(parents=True)
        try:
            (beside / _CONFIG).write_text(config.to_toml(), encoding="utf-8")
            (beside / _PROVENANCE).write_text(json.dumps(provenance, indent=1, default=str), encoding="utf-8")
            for fold, files in (start or {}).items():
                (beside / _START / fold).mkdir(parents=True)
                for file in (*files.models(), files.scaler):
                    shutil.copy2(file, beside / _START / fold / file.name)
            beside.rename(folder)
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            raise RunError(f"{folder} cannot be made: {error}.") from error
        return cls(folder)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run by its directory.

        Raises
        ------
        RunError
            If there is no run at ``path``.
        """
        path = Path(path)
        if not (path / _CONFIG).is_file():
            near = [r.id for r in list_runs(path.parent)] if path.parent.is_dir() else []
            raise RunError(f"{path} is not a run (no {_CONFIG} in it). {did_you_mean(path.name, near)}")
        return cls(path)

    @property
    def id(self) -> str:
        """Name of the run's directory."""
        return self.folder.name

    @property
    def title(self) -> str:
        """What a person calls the run: its title, or its holdout and id."""
        return self.config.title or f"{self.config.holdout.name.replace('_', ' ')} · {self.id[:15]}"

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the run came from: versions, commit, device, seed, dataset hash."""
        found: dict[str, Any] = json.loads((self.folder / _PROVENANCE).read_text(encoding="utf-8"))
        return found

    @property
    def dataset_path(self) -> Path:
        """The dataset that the run read; relative paths start at the working directory it was given in."""
        return Path(self.provenance.get("dataset_path") or self.config.data.dataset)

    @property
    def log(self) -> Path:
        """What the run's process printed, when it ran in the background."""
        return self.folder / _LOG

    @property
    def state(self) -> str:
        """``new``, ``running`` (or killed: ask the job queue), ``finished``, ``failed`` or ``cancelled``."""
        state = "new"
        for event in self.events():
            state = ENDED.get(event["event"], "running")
        return state

    def fold(self, name: str) -> FoldFiles:
        """Return the files of one fold, its folder made."""
        files = FoldFiles(self.folder / "folds" / name)
        files.folder.mkdir(parents=True, exist_ok=True)
        return files

    def start(self, name: str) -> FoldFiles | None:
        """Return the networks and the scaling that a fold starts from; ``None`` where it starts from nothing.

        Raises
        ------
        RunError
            If the run is a fine-tuning and they are missing.
        """
        if "parent" not in self.provenance:
            return None
        files = FoldFiles(self.folder / _START / name)
        if not files.scaler.exists():
            raise RunError(
                f"{files.folder} is missing: fold {name} of run {self.id} starts from the networks in it."
            )
        return files

    def finished_folds(self) -> list[FoldFiles]:
        """Return the files of every fold that is done, by name.

        Raises
        ------
        RunError
            If none is.
        """
        found = [
            FoldFiles(path) for path in sorted((self.folder / "folds").glob("*")) if FoldFiles(path).done
        ]
        if not found:
            raise RunError(f"Run {self.id} has no finished fold (it is {self.state}). Resume it first.")
        return found

    def append_event(self, event: str, **fields: Any) -> dict[str, Any]:
        """Append one line to ``events.jsonl`` in a single write, so that a reader never sees half a line twice."""
        line = {"event": event, "time": round(time.time(), 3), **fields}
        text = json.dumps(line, default=float) + "\n"
        with (self.folder / _EVENTS).open("ab+", buffering=0) as file:
            # A kill or a full disk may have left half a line: begin a new one, so that only that one is lost.
            if file.tell() and not self._ends_with_newline(file):
                text = "\n" + text
            file.write(text.encode())
        return line

    @staticmethod
    def _ends_with_newline(file: Any) -> bool:
        file.seek(-1, os.SEEK_END)
        return bool(file.read(1) == b"\n")

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield every event so far, oldest first."""
        yield from self.events_since(0)[0]

    def events_since(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Return the events after a byte offset and the next offset; the file is never read twice.

        Parameters
        ----------
        offset
            0 the first time, then what the last call returned.
        """
        path = self.folder / _EVENTS
        if not path.exists():
            return [], 0
        with path.open("rb") as file:
            file.seek(offset)
            new = file.read()
        whole = new.rfind(b"\n") + 1
        return [event for line in new[:whole].splitlines() if (event := _event(line))], offset + whole

    def write_predictions(self, predictions: xr.Dataset) -> None:
        """Keep the predictions of all folds together."""
        atomic_write(predictions, self.folder / _PREDICTIONS)

    def predictions(self) -> xr.Dataset:
        """Return what the run predicts, at every site by the fold that tests it.

        Returns
        -------
        xarray.Dataset
            ``sm_predicted (site, time)`` in m3 m-3, the whole record; ``in_test (site, time)``, true on the days
            that test (the others were seen in training, or warm up); coordinate ``fold (site)``.

        Raises
        ------
        RunError
            If the run has no predictions yet.
        """
        return self._read(self.folder / _PREDICTIONS, "predictions")

    def write_scores(self, reference: str, scores: xr.Dataset) -> None:
        """Keep the scores against one record (``sm_insitu`` or ``sm_smap``)."""
        atomic_write(scores, self._scores_path(reference))

    def scores(self, reference: str | None = None) -> xr.Dataset:
        """Return the per-site scores of the run and of every product, on the run's test days.

        Parameters
        ----------
        reference
            Against what: ``sm_insitu``, or ``sm_smap`` where that is what the dataset has. By default the first
            there is.

        Returns
        -------
        xarray.Dataset
            As :func:`gsm3core.site_scores` returns it, with dimensions ``(product, site)``.

        Raises
        ------
        RunError
            If there are none.
        """
        if reference is None:
            reference = next(iter(self.references()), v.SM_INSITU)
        return self._read(self._scores_path(reference), f"scores against {reference}")

    def references(self) -> list[str]:
        """Return the records that the run was scored against, in-situ first."""
        return [t for t in v.TARGETS if self._scores_path(t).exists()]

    def _scores_path(self, reference: str) -> Path:
        return self.folder / "scores" / f"{reference}.nc"

    def _read(self, path: Path, what: str) -> xr.Dataset:
        if not path.exists():
            raise RunError(f"Run {self.id} has no {what} (it is {self.state}); expected {path}.")
        with xr.open_dataset(path, engine="h5netcdf") as ds:
            return ds.load()


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return event if isinstance(event, dict) and "event" in event else None


def new_run_id(config: ExperimentConfig) -> str:
    """Return a name for a run that sorts by time and is not taken."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{config.holdout.name}-{secrets.token_hex(4)}"


def list_runs(root: str | Path) -> list[Run]:
    """Return the runs below a folder, newest first; one whose configuration cannot be read is left out."""
    found = []
    for path in sorted(Path(root).glob(f"*/{_CONFIG}"), reverse=True):
        if not path.parent.name.startswith("."):
            with contextlib.suppress(ConfigError):
                found.append(Run(path.parent))
    return found
