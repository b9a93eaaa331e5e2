"""Ranking of eight products at seven SCAN sites in Hawaii, on their own days and on shared days.

python benchmarks/run.py hawaii [--data FOLDER]

A test of the code; mountainous islands are not representative of the products.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import compare_products
from gsm3core import vocabulary as v

_NOT_PRODUCTS = {"sm", "precip", "t2m_mean", "ts5"}


def open_products(path: Path) -> tuple[xr.DataArray, xr.DataArray]:
    """Products ``(product, site, time)`` and in-situ soil moisture, m3 m-3, with the names in the file."""
    with xr.open_dataset(path, engine="h5netcdf") as ds:
        ds = ds.load()
    names = [
        str(n) for n, a in ds.data_vars.items() if set(a.dims) == {"site", "time"} and n not in _NOT_PRODUCTS
    ]
    stacked = xr.concat([ds[n].reset_coords(drop=True) for n in names], dim=pd.Index(names, name="product"))
    network = [str(s).split("|")[0] for s in ds["site"].values]
    observed = ds["sm"].assign_coords(network=("site", network)).assign_attrs(units=v.SM_UNITS)
    return stacked.assign_attrs(units=v.SM_UNITS), observed


def show(found: xr.Dataset) -> None:
    """Print medians with intervals, ranks and tests for both samples."""
    write, ranks = sys.stdout.write, {}
    for sample in found["sample"].values:
        one = found.sel(sample=sample)
        table = pd.DataFrame(index=found["product"].values)
        table["sites"] = one.n_sites.sel(metric="R").values.astype(int)
        for metric in found["metric"].values:
            estimates = (one[n].sel(metric=metric).values for n in ("median", "lower", "upper"))
            table[metric] = [f"{a:.3f} ({b:.3f}, {c:.3f})" for a, b, c in zip(*estimates, strict=True)]
        resampled = found.attrs["resampled"]
        write(f"\n{sample}: median over sites (95 %, resampling {resampled})\n{table.to_string()}\n")
        for metric, up in (("R", False), ("ubRMSE", True)):
            ranks[f"{metric}, {sample}"] = one["median"].sel(metric=metric).to_series().rank(ascending=up)
        p = one.p_holm.sel(metric="R").values[np.triu_indices(found.sizes["product"], 1)]
        write(f"{(p < 0.05).sum()} of {len(p)} pairs differ in R (Wilcoxon, Holm, 5 %)\n")
        reasons = pd.Series(one.reason.values.ravel())
        write(f"without a score: {reasons[reasons != ''].value_counts().to_dict()}\n")
        best = pd.Series(one.best.sel(metric="R").values).value_counts().to_dict()
        write(f"best R by site: {best}\n")
    write(f"\nRanks\n{pd.DataFrame(ranks).to_string()}\n")


def main(arguments: list[str]) -> None:
    """Print the tables of all products, and of those with enough shared days."""
    parser = argparse.ArgumentParser(prog="run.py hawaii", description=__doc__.splitlines()[0])
    default = os.environ.get("GSM3_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default))
    path = parser.parse_args(arguments).data / "hawaii_products.nc"
    if not path.exists():
        sys.exit(f"{path} does not exist. Pass the folder of the real data sets with --data.")
    predicted, observed = open_products(path)
    found = compare_products(predicted, observed)
    show(found)
    while int(found.n_sites.sel(sample="same_sample", metric="R").max()) < observed.sizes["site"] - 1:
        paired = (predicted.notnull() & observed.notnull()).sum(["site", "time"])
        sparsest = str(predicted["product"].values[int(paired.values.argmin())])
        sys.stdout.write(f"\nexcluded, too few shared days: {sparsest} ({int(paired.min())} site-days)\n")
        predicted = predicted.sel(product=[p for p in predicted["product"].values if p != sparsest])
        found = compare_products(predicted, observed)
    show(found)
