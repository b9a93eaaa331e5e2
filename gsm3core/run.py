"""The run folder: one experiment on disk. All file names of a run are defined here, those of a fold in ``fold_files``."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError, RunError, did_you_mean
from gsm3core.files import atomic_write
from gsm3core.fold_files import PREDICTIONS, TRAINING_PREDICTIONS, FoldFiles

_CONFIG = "config.toml"
_PROVENANCE = "provenance.json"
_EVENTS = "events.jsonl"
_LOG = "log.txt"
_START = "start"

ENDED = {"run_finished": "finished", "run_failed": "failed", "run_cancelled": "cancelled"}


class Run:
    """One experiment on disk.

    Parameters
    ----------
    folder
        The run's folder; use :meth:`create` or :meth:`open`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = ExperimentConfig.load_stored(folder / _CONFIG)

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
        """Create a new run folder; an existing one is never changed.

        Parameters
        ----------
        root
            Folder of all runs.
        provenance
            Versions, commit, device, seed, dataset hash; ready for JSON.
        run_id
            Time stamp, holdout and a random suffix by default.
        start
            For fine-tuning: fold -> the fold of another run whose networks and scaling it starts from. They are
            copied, so that the run does not depend on the other.

        Raises
        ------
        RunError
            If the run exists.
        """
        run_id = run_id or new_run_id(config)
        folder = Path(root) / run_id
        partial = folder.with_name(f".{run_id}.{secrets.token_hex(4)}")
        if folder.exists():
            raise RunError(
                f"{folder} exists already; runs are never overwritten. Choose another id, or resume it."
            )
        partial.mkdir(parents=True)
        try:
            (partial / _CONFIG).write_text(config.to_toml(), encoding="utf-8")
            (partial / _PROVENANCE).write_text(
                json.dumps(provenance, indent=1, default=str), encoding="utf-8"
            )
            for fold, files in (start or {}).items():
                (partial / _START / fold).mkdir(parents=True)
                for file in (*files.models(), files.scaler):
                    shutil.copy2(file, partial / _START / fold / file.name)
            partial.rename(folder)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise RunError(f"{folder} cannot be created: {error}.") from error
        return cls(folder)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run by its folder.

        Raises
        ------
        RunError
            If there is no run at ``path``.
        """
        path = Path(path)
        if not (path / _CONFIG).is_file():
            near = [r.id for r in list_runs(path.parent)] if path.parent.is_dir() else []
            raise RunError(
                f"{path} is not a run folder (no {_CONFIG} in it). {did_you_mean(path.name, near)}"
            )
        return cls(path)

    @property
    def id(self) -> str:
        """Name of the run's folder."""
        return self.folder.name

    @property
    def title(self) -> str:
        """The configured title, or the holdout and the time of the id."""
        return self.config.title or f"{self.config.holdout.name.replace('_', ' ')} · {self.id[:15]}"

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, commit, device, seed and dataset hash when the run was created."""
        provenance: dict[str, Any] = json.loads((self.folder / _PROVENANCE).read_text(encoding="utf-8"))
        return provenance

    @property
    def dataset_path(self) -> Path:
        """Path of the run's dataset."""
        return Path(self.provenance.get("dataset_path") or self.config.data.dataset)

    @property
    def log(self) -> Path:
        """Output of the run's process, if it ran in the background."""
        return self.folder / _LOG

    @property
    def state(self) -> str:
        """``new``, ``running`` (or killed: ask the job queue), ``finished``, ``failed`` or ``cancelled``."""
        state = "new"
        for event in self.events():
            state = ENDED.get(event["event"], "running")
        return state

    def fold(self, name: str) -> FoldFiles:
        """Return the files of one fold; nothing is created."""
        return FoldFiles(self.folder / "folds" / name)

    def start(self, name: str) -> FoldFiles | None:
        """Return the networks and the scaling that a fold of a fine-tuning run starts from; else ``None``.

        Raises
        ------
        RunError
            If they are missing.
        """
        if "parent" not in self.provenance:
            return None
        files = FoldFiles(self.folder / _START / name)
        if not files.scaler.exists():
            raise RunError(
                f"{files.folder} is missing: fold {name} of run {self.id} starts from its networks. "
                "Create the fine-tuning run again."
            )
        return files

    def finished_folds(self) -> list[FoldFiles]:
        """Return the files of every finished fold, sorted by name.

        Raises
        ------
        RunError
            If no fold is finished.
        """
        found = [
            FoldFiles(path) for path in sorted((self.folder / "folds").glob("*")) if FoldFiles(path).done
        ]
        if not found:
            raise RunError(f"Run {self.id} has no finished fold (state: {self.state}). Resume it first.")
        return found

    def append_event(self, event: str, **fields: Any) -> dict[str, Any]:
        """Append one line to ``events.jsonl`` in a single write, and return the event."""
        line = {"event": event, "time": round(time.time(), 3), **fields}
        text = json.dumps(line, default=float) + "\n"
        with (self.folder / _EVENTS).open("ab+", buffering=0) as file:
            # After a kill or a full disk the last line may be incomplete: start a new one, so that only that one is lost.
            if file.seek(0, os.SEEK_END) and not self._ends_with_newline(file):
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

    @property
    def notes(self) -> list[str]:
        """What was done with the inputs, one sentence each: the ``notes`` of the events, in order."""
        return list(dict.fromkeys(note for event in self.events() for note in event.get("notes", ())))

    def events_since(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Return the events after a byte offset, and the next offset.

        Parameters
        ----------
        offset
            0 at first, then the offset returned by the last call.
        """
        path = self.folder / _EVENTS
        if not path.exists():
            return [], 0
        with path.open("rb") as file:
            file.seek(offset)
            new = file.read()
        end = new.rfind(b"\n") + 1
        return [event for line in new[:end].splitlines() if (event := _event(line))], offset + end

    def write_predictions(self, predictions: xr.Dataset) -> None:
        """Write the merged predictions of all folds."""
        atomic_write(predictions, self.folder / PREDICTIONS)

    def predictions(self) -> xr.Dataset:
        """Return the run's predictions, at every site by the fold that tests it.

        Returns
        -------
        xarray.Dataset
            ``sm_predicted (site, time)`` in m3 m-3 on all days; ``in_test (site, time)``, true on test days (the
            others are training or warm-up days); coordinate ``fold (site)``.

        Raises
        ------
        RunError
            If the run has no predictions yet.
        """
        return self._read(self.folder / PREDICTIONS, "predictions")

    def write_training_predictions(self, predictions: xr.Dataset) -> None:
        """Write the predictions at training sites on training days."""
        atomic_write(predictions, self.folder / TRAINING_PREDICTIONS)

    def training_predictions(self) -> xr.Dataset:
        """Return the run's predictions on its training days, at every training site by one fold that trained on it.

        Returns
        -------
        xarray.Dataset
            ``sm_predicted (site, time)`` in m3 m-3, NaN but on training days; ``in_train (site, time)``. Of a temporal run
            of an earlier version, without the file, they are those days of its predictions.

        Raises
        ------
        RunError
            If the run has none.
        """
        holdout = self.config.holdout
        if (self.folder / TRAINING_PREDICTIONS).exists() or holdout.name != "temporal":
            return self._read(self.folder / TRAINING_PREDICTIONS, "training predictions")
        made = self.predictions()
        train = ~made[v.IN_TEST]
        if holdout.train:
            first, last = np.datetime64(holdout.train.start), np.datetime64(holdout.train.end)
            train = train & (made[v.TIME] >= first) & (made[v.TIME] <= last)
        return xr.Dataset({v.SM_PREDICTED: made[v.SM_PREDICTED].where(train), v.IN_TRAIN: train})

    @property
    def has_training_predictions(self) -> bool:
        """Whether the run has predictions on its training days."""
        temporal = self.config.holdout.name == "temporal" and (self.folder / PREDICTIONS).exists()
        return temporal or (self.folder / TRAINING_PREDICTIONS).exists()

    def write_scores(self, reference: str, scores: xr.Dataset, *, training: bool = False) -> None:
        """Write the scores against one reference (``sm_insitu`` or ``sm_smap``), of test or of training days."""
        atomic_write(scores, self._scores_path(reference, training))

    def training_scores(self, reference: str) -> xr.Dataset | None:
        """Return the per-site scores of the run on its training days, ``(product, site)``; ``None`` if not stored."""
        path = self._scores_path(reference, training=True)
        return self._read(path, "training scores") if path.exists() else None

    def scores(self, reference: str | None = None) -> xr.Dataset:
        """Return the per-site scores of the run and of every product, on the run's test days.

        Parameters
        ----------
        reference
            ``sm_insitu`` or ``sm_smap``; by default the first that exists.

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

    @property
    def results_version(self) -> tuple[tuple[int, int], ...]:
        """Modification time (ns) and size of the predictions and scores, which change when the run is scored again."""
        files = (self.folder / PREDICTIONS, *(self._scores_path(t) for t in v.TARGETS))
        stats = [file.stat() for file in files if file.exists()]
        return tuple((s.st_mtime_ns, s.st_size) for s in stats)

    def references(self) -> list[str]:
        """Return the references that the run was scored against, in-situ first."""
        return [t for t in v.TARGETS if self._scores_path(t).exists()]

    def _scores_path(self, reference: str, training: bool = False) -> Path:
        return self.folder / "scores" / f"{reference}{'-training' if training else ''}.nc"

    def _read(self, path: Path, what: str) -> xr.Dataset:
        if not path.exists():
            raise RunError(f"Run {self.id} has no {what} (state: {self.state}); expected {path}.")
        with xr.open_dataset(path, engine="h5netcdf") as ds:
            return ds.load()


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return event if isinstance(event, dict) and "event" in event else None


def new_run_id(config: ExperimentConfig) -> str:
    """Return a new run id that sorts by time."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{config.holdout.name}-{secrets.token_hex(4)}"


def list_runs(root: str | Path) -> list[Run]:
    """Return the runs in a folder, newest first, without those whose configuration cannot be read."""
    found = []
    for path in sorted(Path(root).glob(f"*/{_CONFIG}"), reverse=True):
        if not path.parent.name.startswith("."):
            with contextlib.suppress(ConfigError):
                found.append(Run(path.parent))
    return found
