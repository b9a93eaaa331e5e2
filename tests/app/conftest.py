"""Fixtures of the dashboard tests without a browser: folders, a dataset, and finished runs made without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.run import Run
from gsm3core.schema import products, save_dataset


@pytest.fixture
def data_folder(tmp_path: Path, dataset: xr.Dataset) -> Path:
    folder = tmp_path / "data"
    other = dataset[v.SM_INSITU].copy() * 0.9 + 0.03
    other[3] = np.nan  # a site without the product
    ds = dataset.assign(
        {v.SM_PRODUCT: other.expand_dims({v.PRODUCT: ["SMOS"]}).assign_attrs(dataset[v.SM_SMAP].attrs)}
    )
    ds[v.SM_INSITU][5] = np.nan  # and one without a reference
    save_dataset(ds, folder / "bucket.zarr")
    return folder


@pytest.fixture
def runs_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def store(data_folder: Path, runs_folder: Path) -> Store:
    return Store(data_folder, runs_folder)


@pytest.fixture
def make_run(store: Store) -> Callable[..., Run]:
    """Write a run as an experiment does; its prediction is in situ soil moisture with noise."""

    def make(run_id: str, *, finished: bool = True, title: str = "") -> Run:
        path = store.data / "bucket.zarr"
        config = ExperimentConfig().replace("data", dataset=str(path)).replace("holdout", name="temporal")
        run = Run.create(
            store.runs_folder,
            config.model_copy(update={"title": title}),
            {"dataset_path": str(path)},
            run_id=run_id,
        )
        run.append_event("run_started", folds=["temporal"], device="cpu")
        if not finished:
            return run
        ds = store.dataset("bucket.zarr").load()
        noise = np.random.default_rng(0).normal(0, 0.02, ds[v.SM_INSITU].shape)
        predicted = (ds[v.SM_INSITU].fillna(0.2) + noise).astype(np.float32).reset_coords(drop=True)
        predicted.attrs["units"] = v.SM_UNITS
        in_test = xr.DataArray(np.arange(ds.sizes[v.TIME]) < 200, dims=v.TIME).broadcast_like(predicted)
        predictions = xr.Dataset({v.SM_PREDICTED: predicted, v.IN_TEST: in_test.transpose(v.SITE, v.TIME)})
        run.write_predictions(predictions.assign_coords({v.FOLD: (v.SITE, ["temporal"] * ds.sizes[v.SITE])}))
        compared = {v.MULTITASK_LSTM: predicted} | {
            n: a.reset_coords(drop=True) for n, a in products(ds).items()
        }
        stacked = xr.concat(list(compared.values()), dim=v.PRODUCT).assign_coords({v.PRODUCT: list(compared)})
        run.write_scores(v.SM_INSITU, site_scores(stacked.where(in_test), ds[v.SM_INSITU]))
        run.append_event("run_finished", seconds=2.0)
        return run

    return make
