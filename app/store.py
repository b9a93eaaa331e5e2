"""The only reader of datasets and runs; what it has read is kept, bounded, for every visitor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from app.evaluation import Evaluation, site_frame
from app.recent import Recent
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, GSM3Error, did_you_mean
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.run import Run
from gsm3core.schema import is_simulated, open_dataset, products, target_names

DATASET_SUFFIXES = (".zarr", ".nc", ".nc4")
PRECIPITATION = "precipitation"

Series = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class SiteSeries:
    """Everything that is drawn at one site, on the days of the dataset.

    Parameters
    ----------
    time
        Days.
    records
        In-situ and satellite records and other products, by name; NaN is missing.
    predicted, in_test, fold
        The run's prediction, the days that test it, its fold; ``None`` and empty without a run.
    precipitation
        mm a day, where the dataset has it.
    """

    time: NDArray[np.datetime64]
    records: dict[str, Series]
    predicted: Series | None
    in_test: NDArray[np.bool_] | None
    fold: str
    precipitation: Series | None


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
        self._opened: Recent[xr.Dataset] = Recent(4)
        self._evaluations: Recent[Evaluation] = Recent(16)
        self._predictions: Recent[xr.Dataset] = Recent(3)
        self._series: Recent[SiteSeries] = Recent(128)
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
        return [t for t in target_names(ds) if _compared(ds, t)] or target_names(ds)[:1]

    def is_evaluated(self, dataset: str, run_id: str, reference: str) -> bool:
        """Tell whether :meth:`evaluation` answers at once."""
        return self._evaluation_key(dataset, run_id, reference) in self._evaluations

    def evaluation(self, dataset: str, run_id: str, reference: str) -> Evaluation:
        """Return the scores of a run and the products, or of the products alone where ``run_id`` is empty.

        Raises
        ------
        GSM3Error
            If the dataset or the run cannot be read.
        """
        key = self._evaluation_key(dataset, run_id, reference)
        return self._evaluations.get(key, lambda: self._evaluate(dataset, run_id, reference))

    def series(self, dataset: str, run_id: str, site: str) -> SiteSeries:
        """Return what is drawn at one site.

        Raises
        ------
        GSM3Error
            If the dataset or the run cannot be read, or has no such site.
        """
        path = self.dataset_path(dataset)
        return self._series.get(
            (path, _version(path), run_id, site), lambda: self._read_site(dataset, run_id, site)
        )

    def _evaluation_key(self, dataset: str, run_id: str, reference: str) -> tuple[object, ...]:
        path = self.dataset_path(dataset)
        return (path, _version(path), run_id, reference)

    def _evaluate(self, dataset: str, run_id: str, reference: str) -> Evaluation:
        ds = self.dataset(dataset)
        sites = site_frame(ds)
        if run_id:
            scores = self.run(run_id).scores(reference)
            scores = scores.assign_coords({v.SITE: scores[v.SITE].astype(str)}).reindex(
                {v.SITE: sites.index}, fill_value=np.nan
            )
            scores["reason"] = (
                scores["reason"].astype(object).where(scores["reason"].notnull(), "").astype(str)
            )
        elif compared := _compared(ds, reference):
            names = list(compared)
            stacked = xr.concat(
                [compared[n].drop_vars(v.PRODUCT, errors="ignore") for n in names],
                dim=v.PRODUCT,
                join="exact",
                coords="minimal",
                compat="override",
                combine_attrs="override",
            )
            scores = site_scores(stacked.assign_coords({v.PRODUCT: names}), ds[reference])
        else:
            scores = xr.Dataset(coords={v.SITE: sites.index})
        return Evaluation(dataset, run_id, reference, is_simulated(ds), sites, scores)

    def _read_site(self, dataset: str, run_id: str, site: str) -> SiteSeries:
        ds = self.dataset(dataset)
        ids = ds[v.SITE].values.astype(str)
        position = np.flatnonzero(ids == site)
        if not position.size:
            raise DatasetError(f"{dataset} has no site {site!r}. {did_you_mean(site, map(str, ids))}")
        at = ds.isel({v.SITE: int(position[0])})
        records = {v.IN_SITU: at[v.SM_INSITU].values} if v.SM_INSITU in at else {}
        records |= {name: record.values for name, record in products(at).items()}
        rain = at[PRECIPITATION].values if PRECIPITATION in at else None
        predicted = in_test = None
        fold = ""
        if run_id:
            run = self.run(run_id)
            made = self._predictions.get(run_id, run.predictions)
            if site in made[v.SITE].values.astype(str):
                here = made.isel({v.SITE: int(np.flatnonzero(made[v.SITE].values.astype(str) == site)[0])})
                here = here.reindex({v.TIME: ds[v.TIME]})
                predicted = here[v.SM_PREDICTED].values
                in_test = np.nan_to_num(here[v.IN_TEST].values.astype(float)).astype(bool)
                fold = str(here[v.FOLD].values) if v.FOLD in here.coords else ""
        return SiteSeries(ds[v.TIME].values, records, predicted, in_test, fold, rain)


def _compared(ds: xr.Dataset, reference: str) -> dict[str, xr.DataArray]:
    """Return the products that can be scored against a reference: all but the reference itself."""
    same = {v.SM_SMAP: v.SMAP}.get(reference)
    return {name: record for name, record in products(ds).items() if name != same}


def _version(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0
