"""Reader of datasets and runs, with bounded caches shared by all sessions."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from threading import Lock

import xarray as xr

from app.services.cache import ResultCache
from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.scoring import evaluate_products
from app.services.site_series import SiteSeries, read_series
from app.services.site_table import SiteData, read_sites
from gsm3core.errors import DatasetError, GSM3Error, did_you_mean
from gsm3core.evaluation.reference_scaling import NO_SCALING
from gsm3core.evaluation.test_days import compared_products
from gsm3core.evaluation.triplets import AUTOMATIC
from gsm3core.metrics.rescaling import Scaling
from gsm3core.run import Run
from gsm3core.schema import open_dataset, target_names

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
        self._sites: ResultCache[SiteData] = ResultCache(4)
        self._predictions: ResultCache[xr.Dataset] = ResultCache(3)
        self._series: ResultCache[SiteSeries] = ResultCache(128)
        self._runs_by_id: dict[str, Run] = {}
        self._run_datasets: dict[str, Path] = {}
        self._lock = Lock()

    def datasets(self) -> dict[str, Path]:
        """Return the datasets by name: those in the data folder, and those elsewhere that runs were made from."""
        found = {}
        if self.data.is_dir():
            found = {
                p.name: p
                for p in sorted(self.data.iterdir())
                if p.suffix in DATASET_SUFFIXES and not p.name.startswith(".")
            }
        known = {path.resolve() for path in found.values()}
        for path in {self.dataset_of_run(run) for run in self.runs()} - known:
            if path.exists():
                found[path.name if path.name not in found else str(path)] = path
        return found

    def dataset_path(self, name: str) -> Path:
        """Return the path of a dataset.

        Raises
        ------
        DatasetError
            If no dataset has this name.
        """
        found = self.datasets()
        if name not in found:
            raise DatasetError(f"Unknown dataset {name!r} in {self.data}. {did_you_mean(name, found)}")
        return found[name]

    def dataset(self, name: str) -> xr.Dataset:
        """Return a dataset; it is opened and validated again only when it changed on disk."""
        path = self.dataset_path(name)
        return self._opened.cached(path, (), lambda: open_dataset(path))

    def runs(self) -> list[Run]:
        """Return the runs, newest first, without unreadable ones; each is read once."""
        if not self.runs_folder.is_dir():
            return []
        folders = [f for f in self.runs_folder.iterdir() if f.is_dir() and not f.name.startswith(".")]
        with self._lock:
            present = {f.name for f in folders}
            self._runs_by_id = {i: run for i, run in self._runs_by_id.items() if i in present}
            for folder in folders:
                if folder.name not in self._runs_by_id:
                    try:
                        self._runs_by_id[folder.name] = Run.open(folder)
                    except GSM3Error:
                        continue  # not a run, or a damaged one: the others are still listed
            return [self._runs_by_id[i] for i in sorted(self._runs_by_id, reverse=True)]

    def run(self, run_id: str) -> Run:
        """Return one run.

        Raises
        ------
        RunError
            If no run has this id.
        """
        return self._runs_by_id.get(run_id) or Run.open(self.runs_folder / run_id)

    def runs_of(self, dataset: str) -> dict[str, Run]:
        """Return the runs of a dataset that have scores, by id, newest first."""
        path = self.datasets().get(dataset)
        if path is None:
            return {}
        resolved = path.resolve()
        return {r.id: r for r in self.runs() if self.dataset_of_run(r) == resolved and r.references()}

    def dataset_of_run(self, run: Run) -> Path:
        """Return the resolved path of the dataset that a run was made from."""
        if run.id not in self._run_datasets:
            self._run_datasets[run.id] = run.dataset_path.resolve()
        return self._run_datasets[run.id]

    def references(self, dataset: str, run_id: str) -> list[str]:
        """Return the reference variables that the products can be scored against, in situ first."""
        if run_id:
            return self.run(run_id).references()
        ds = self.dataset(dataset)
        return [t for t in target_names(ds) if compared_products(ds, t)] or target_names(ds)[:1]

    def is_evaluated(
        self,
        dataset: str,
        run_id: str,
        reference: str,
        season: str = ALL_YEAR,
        more: bool = False,
        scaling: Scaling = NO_SCALING,
        masks: tuple[str, ...] = (),
        third: str = AUTOMATIC,
    ) -> bool:
        """Return whether :meth:`evaluation` has these scores in its cache."""
        key = (run_id, self._results_version(run_id), reference, season, more, scaling, masks, third)
        return self._evaluations.is_cached(self.dataset_path(dataset), key)

    def evaluation(
        self,
        dataset: str,
        run_id: str,
        reference: str,
        season: str = ALL_YEAR,
        more: bool = False,
        scaling: Scaling = NO_SCALING,
        masks: tuple[str, ...] = (),
        third: str = AUTOMATIC,
    ) -> Evaluation:
        """Return the scores of a run and the products; of the products alone if ``run_id`` is empty.

        Parameters
        ----------
        season, more, scaling, masks, third
            Days that are scored, whether the metrics beyond the paper's four are computed, the scaling to the reference, and
            the third product of triple collocation: see :mod:`app.services.scoring`.

        Raises
        ------
        GSM3Error
            If the dataset or the run cannot be read.
        """
        path = self.dataset_path(dataset)

        def evaluate() -> Evaluation:
            ds = self.dataset(dataset)
            run = self.run(run_id) if run_id else None
            return evaluate_products(
                dataset, ds, self._site_data(dataset), run, reference, season, more, scaling, masks, third
            )

        return self._evaluations.cached(
            path,
            (run_id, self._results_version(run_id), reference, season, more, scaling, masks, third),
            evaluate,
        )

    def masks_of(self, dataset: str) -> tuple[str, ...]:
        """Return the masks of days that a dataset has the variables for.

        Raises
        ------
        GSM3Error
            If the dataset cannot be read.
        """
        return tuple(name for name, source in self._site_data(dataset).mask_sources.items() if source)

    def _site_data(self, dataset: str) -> SiteData:
        return self._sites.cached(self.dataset_path(dataset), (), lambda: read_sites(self.dataset(dataset)))

    def series(self, dataset: str, run_id: str, site: str) -> SiteSeries:
        """Return the time series and attributes of one site.

        Raises
        ------
        GSM3Error
            If the dataset or the run cannot be read, or has no such site.
        """
        return self._series.cached(
            self.dataset_path(dataset),
            (run_id, self._results_version(run_id), site),
            lambda: read_series(
                self.dataset(dataset),
                site,
                self.run(run_id) if run_id else None,
                self.predictions(run_id) if run_id else None,
                self._site_data(dataset).mask_sources,
            ),
        )

    def predictions(self, run_id: str) -> xr.Dataset:
        """Return the predictions of a run.

        Raises
        ------
        RunError
            If there is no such run, or it has no predictions yet.
        """
        key = (run_id, self._results_version(run_id))
        return self._predictions.get(key, lambda: self.run(run_id).predictions())

    def _results_version(self, run_id: str) -> Hashable:
        return self.run(run_id).results_version if run_id else ()
