"""Runs with predictions and scores, made without training, for the tests of the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import ExperimentConfig, Run, site_scores
from gsm3core import vocabulary as v
from gsm3core.files import fingerprint
from gsm3core.schema import products, save_dataset
from support.small_world import make_dataset


def world(n_sites: int = 36, n_days: int = 400, *, other: str = "GLDAS-Noah") -> xr.Dataset:
    """A small dataset with SMAP and another product; one site has 12 days of data, one sensor is constant."""
    ds = make_dataset(n_sites, n_days)
    rng = np.random.default_rng(1)
    noisy = ds["sm_insitu"].values + 0.03 + rng.normal(0, 0.02, (n_sites, n_days))
    ds["sm_product"] = (("product", "site", "time"), np.clip(noisy, 0, 1)[None].astype(np.float32),
                        {"units": "m3 m-3", "source": "simulated for tests"})  # fmt: skip
    ds["sm_insitu"][0, 12:] = np.nan
    ds["sm_insitu"][1] = ds["sm_insitu"][1] * 0 + 0.25
    return ds.assign_coords(product=[other])


def make_run(
    folder: Path,
    ds: xr.Dataset,
    holdout: str = "temporal",
    *,
    error: float = 0.02,
    title: str = "",
    scored: bool = True,
    model: str = "multitask_lstm",
    std: float | None = None,
    path: Path | None = None,
) -> Run:
    """A run of a holdout on a dataset; its predictions have errors of standard deviation ``error``."""
    path = path or folder / "world.nc"
    if not path.exists():
        save_dataset(ds, path)
    config = ExperimentConfig.load("quick").replace("data", dataset=str(path))
    config = config.replace("holdout", name=holdout).replace("model", name=model)
    config = config.model_copy(update={"title": title})
    provenance = {
        "created": "2026-01-01T00:00:00+00:00", "dataset_path": str(path), "dataset_sha256": fingerprint(path),
        "dataset_title": ds.attrs["title"], "simulated": ds.attrs["simulated"], "commit": "abc123def456",
        "python": "3.11", "versions": {"gsm3": "0.1.0"},
    }  # fmt: skip
    run = Run.create(folder / "runs", config, provenance, run_id=f"run-{holdout}")
    rng = np.random.default_rng(len(holdout))
    truth = ds["sm_insitu"].interpolate_na("time", fill_value="extrapolate").fillna(0.2).values
    shape = truth.shape
    tested = np.ones(shape, bool)
    if holdout == "temporal":
        tested[:, shape[1] // 2 :] = False
    predicted = np.clip(truth + rng.normal(0, error, shape) * np.where(tested, 1, 0.5), 0, 1)
    coords = {n: c for n, c in ds.coords.items() if "product" not in c.dims}
    made = xr.Dataset(
        {"sm_predicted": (("site", "time"), predicted.astype(np.float32), {"units": "m3 m-3"}),
         "in_test": (("site", "time"), tested)},
        coords=coords | {"fold": ("site", np.full(shape[0], holdout))},
    )  # fmt: skip
    if std is not None:
        made["sm_predicted_std"] = made["sm_predicted"] * 0 + std
    run.write_predictions(made)
    if scored:
        score(run, ds)
    run.append_event("run_finished", seconds=1.0, medians={})
    return run


def score(run: Run, ds: xr.Dataset) -> None:
    """Score a run as an experiment does."""
    made = run.predictions()
    series = {v.MODEL_PRODUCTS[run.config.model.name]: made["sm_predicted"]} | products(ds)
    stacked = xr.concat(
        [a.reset_coords(drop=True) for a in series.values()], dim=pd.Index(list(series), name="product")
    ).assign_coords({n: c for n, c in made.coords.items() if c.dims == ("site",)})
    stacked = stacked.where(made["in_test"]).assign_attrs(units="m3 m-3")
    scores = site_scores(stacked, ds["sm_insitu"], replicates=100)
    scores.attrs |= {"reference": "sm_insitu", "run": run.id}
    run.write_scores("sm_insitu", scores)
