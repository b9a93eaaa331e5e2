"""The only reader of datasets and runs; what it has read is kept, bounded, for every visitor."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import pandas as pd
import xarray as xr

from app.services.cache import ResultCache
from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.scoring import own_product, score
from app.services.site_series import SiteSeries, read_series
from app.services.site_table import mean_soil_moisture, site_table_of
from gsm3core.errors import DatasetError, GSM3Error, did_you_mean
from gsm3core.evaluation.test_days import compared_products
from gsm3core.run import Run
from gsm3core.schema import is_simulated, open_dataset, target_names

DATASET_SUFFIXES = (".zarr", ".nc", ".nc4")


class Store:
    """Datasets of one folder and runs of another.

    Parameters
    ----------
    data
        Folder of datasets (``.zarr``, ``.nc``).
    runs
        Folder of runs.
    """

    def __init__(self, data: Path, runs: Path) -> None:
        self.data = Path(data).absolute()
        self.runs_folder = Path(runs).absolute()
        self._opened: ResultCache[xr.Dataset] = ResultCache(4)
        self._evaluations: ResultCache[Evaluation] = ResultCache(16)
        self._sites: ResultCache[tuple[pd.DataFrame, pd.DataFrame]] = ResultCache(4)
        self._predictions: ResultCache[xr.Dataset] = ResultCache(3)
        self._series: ResultCache[SiteSeries] = ResultCache(128)
        self._known_runs: dict[str, Run] = {}
        self._read_by: dict[str, Path] = {}
        self._lock = Lock()

    def datasets(self) -> dict[str, Path]:
        """Return the datasets by name: those of the folder, and those that runs were made from elsewhere."""
        found = {}
        if self.data.is_dir():
            found = {
                p.name: p
                for p in sorted(self.data.iterdir())
                if p.suffix in DATASET_SUFFIXES and not p.name.startswith(".")
            }
        known = {path.resolve() for path in found.values()}
        for path in {self.dataset_read_by(run) for run in self.runs()} - known:
            if path.exists():
                found[path.name if path.name not in found else str(path)] = path
        return found

    def dataset_path(self, name: str) -> Path:
        """Return where a dataset lies.

        Raises
        ------
        DatasetError
            If there is none of that name.
        """
        found = self.datasets()
        if name not in found:
            raise DatasetError(f"There is no dataset {name!r} in {self.data}. {did_you_mean(name, found)}")
        return found[name]

    def dataset(self, name: str) -> xr.Dataset:
        """Return a dataset, opened and checked once as long as it does not change on disk."""
        path = self.dataset_path(name)
        return self._opened.get((path, _version(path)), lambda: open_dataset(path))

    def runs(self) -> list[Run]:
        """Return the runs, newest first; each is read once, and one that cannot be read is left out."""
        if not self.runs_folder.is_dir():
            return []
        folders = [f for f in self.runs_folder.iterdir() if f.is_dir() and not f.name.startswith(".")]
        with self._lock:
            there = {f.name for f in folders}
            self._known_runs = {i: run for i, run in self._known_runs.items() if i in there}
            for folder in folders:
                if folder.name not in self._known_runs:
                    try:
                        self._known_runs[folder.name] = Run.open(folder)
                    except GSM3Error:
                        continue  # not a run, or one that is damaged: the others are still shown
            return [self._known_runs[i] for i in sorted(self._known_runs, reverse=True)]

    def run(self, run_id: str) -> Run:
        """Return one run.

        Raises
        ------
        RunError
            If there is none of that id.
        """
        return self._known_runs.get(run_id) or Run.open(self.runs_folder / run_id)

    def runs_of(self, dataset: str) -> dict[str, Run]:
        """Return the runs of a dataset that have scores to show, by id, newest first."""
        path = self.datasets().get(dataset)
        if path is None:
            return {}
        resolved = path.resolve()
        return {r.id: r for r in self.runs() if self.dataset_read_by(r) == resolved and r.references()}

    def dataset_read_by(self, run: Run) -> Path:
        """Return the dataset that a run was made from, its path resolved."""
        if run.id not in self._read_by:
            self._read_by[run.id] = run.dataset_path.resolve()
        return self._read_by[run.id]

    def references(self, dataset: str, run_id: str) -> list[str]:
        """Return what the products can be compared with, in-situ first."""
        if run_id:
            return self.run(run_id).references()
        ds = self.dataset(dataset)
        return [t for t in target_names(ds) if compared_products(ds, t)] or target_names(ds)[:1]

    def is_evaluated(
        self, dataset: str, run_id: str, reference: str, season: str = ALL_YEAR, more: bool = False
    ) -> bool:
        """Tell whether :meth:`evaluation` answers at once."""
        return self._evaluation_key(dataset, run_id, reference, season, more) in self._evaluations

    def evaluation(
        self, dataset: str, run_id: str, reference: str, season: str = ALL_YEAR, more: bool = False
    ) -> Evaluation:
        """Return the scores of a run and the products, or of the products alone where ``run_id`` is empty.

        Parameters
        ----------
        dataset, run_id, reference
            What is scored against what.
        season, more
            Of which days, and whether with the scores beyond the paper's: see :func:`app.services.scoring.score`.

        Raises
        ------
        GSM3Error
            If the dataset or the run cannot be read.
        """
        key = self._evaluation_key(dataset, run_id, reference, season, more)
        return self._evaluations.get(key, lambda: self._evaluate(dataset, run_id, reference, season, more))

    def series(self, dataset: str, run_id: str, site: str) -> SiteSeries:
        """Return what is drawn at one site.

        Raises
        ------
        GSM3Error
            If the dataset or the run cannot be read, or has no such site.
        """
        path = self.dataset_path(dataset)
        return self._series.get(
            (path, _version(path), run_id, site),
            lambda: read_series(
                self.dataset(dataset),
                site,
                self.run(run_id) if run_id else None,
                self.predictions(run_id) if run_id else None,
            ),
        )

    def predictions(self, run_id: str) -> xr.Dataset:
        """Return what a run predicts.

        Raises
        ------
        RunError
            If there is no such run, or it has none yet.
        """
        return self._predictions.get(run_id, lambda: self.run(run_id).predictions())

    def _evaluation_key(self, dataset: str, *asked: str | bool) -> tuple[object, ...]:
        path = self.dataset_path(dataset)
        return (path, _version(path), *asked)

    def _evaluate(self, dataset: str, run_id: str, reference: str, season: str, more: bool) -> Evaluation:
        ds = self.dataset(dataset)
        path = self.dataset_path(dataset)
        sites, moisture = self._sites.get(
            (path, _version(path)), lambda: (site_table_of(ds), mean_soil_moisture(ds))
        )
        run = self.run(run_id) if run_id else None
        needed = run_id and (more or season != ALL_YEAR)
        predictions = self.predictions(run_id) if needed else None
        return Evaluation(
            dataset=dataset,
            run=run_id,
            reference=reference,
            own=own_product(run) if run else "",
            season=season,
            simulated=is_simulated(ds),
            sites=sites,
            moisture=moisture,
            scores=score(ds, reference, run, predictions, season, more),
        )


def _version(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0
