"""A visitor's table joined to a dataset and written as a new one; the old one is never changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from app.services.store import DATASET_SUFFIXES, Store
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.schema import save_dataset
from gsm3core.user_tables.add_network import add_network
from gsm3core.user_tables.add_product import add_product
from gsm3core.user_tables.upload import LARGEST, Upload, check_upload, uploaded

PRODUCT, NETWORK = "product", "network"
# Letters, digits and a few signs: the name becomes one file in the data folder and can be nothing else.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}")


@dataclass(frozen=True, kw_only=True)
class UploadRequest:
    """What is to be added.

    Parameters
    ----------
    dataset
        Name of the dataset that it is added to.
    kind
        ``product`` or ``network``.
    name
        What the product or the network is called.
    units
        For a table that states none.
    file
        Name of the file, as the visitor's machine calls it.
    content
        Its bytes.
    new_name
        What the new dataset is called, without a suffix.
    """

    dataset: str
    kind: str
    name: str
    units: str
    file: str
    content: bytes
    new_name: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Added:
    """What was added.

    Parameters
    ----------
    dataset
        Name of the new dataset.
    sites
        A row per site of the table: what became of it.
    used
        Number of sites with at least one value in the new dataset.
    days
        Number of values.
    """

    dataset: str
    sites: pd.DataFrame
    used: int
    days: int


def check(wish: UploadRequest) -> Upload:
    """Return what a table holds, before it is added.

    Raises
    ------
    DatasetError
        If it is not in order.
    """
    return check_upload(wish.content, wish.file, places=wish.kind == NETWORK, units=wish.units)


def add(store: Store, wish: UploadRequest) -> Added:
    """Join a table to a dataset and write the whole as a new dataset of the data folder.

    Raises
    ------
    GSM3Error
        If the table is not in order, a name is taken or no name, or nothing of it fits the dataset.
    """
    path = new_path(store, wish.new_name)
    ds = store.dataset(wish.dataset)
    with uploaded(wish.content, wish.file, largest=LARGEST) as file:
        if wish.kind == NETWORK:
            joined, report = add_network(ds, file, wish.name, units=wish.units, largest=LARGEST)
            sites = report[["site", "outcome", "note", "neighbour", "km", "days"]]
        else:
            joined, step = add_product(ds, file, wish.name, units=wish.units, largest=LARGEST)
            there = joined[v.SM_PRODUCT].sel({v.PRODUCT: wish.name}).notnull().sum(v.TIME)
            sites = pd.DataFrame(
                {"site": joined[v.SITE].values.astype(str), "days": there.values.astype(int)}
            )
            sites = sites[sites["days"] > 0].assign(outcome="used", note="")
            unknown = pd.DataFrame({"site": step["unknown_sites"], "days": 0})
            sites = pd.concat(
                [sites, unknown.assign(outcome="refused", note="not a site of the dataset")],
                ignore_index=True,
            )[["site", "outcome", "note", "days"]]
        save_dataset(joined, path)
    used = sites["outcome"] == "used"
    return Added(
        dataset=path.name, sites=sites, used=int(used.sum()), days=int(sites.loc[used, "days"].sum())
    )


def new_path(store: Store, name: str) -> Path:
    """Return where a new dataset is written.

    Raises
    ------
    DatasetError
        If the name is no name for a file, or taken.
    """
    name = name.strip()
    if not _NAME.fullmatch(name) or name.endswith((".", " ")):
        raise DatasetError(
            f"{name!r} is no name for a dataset: 1 to 60 letters (a to z), digits, blanks and . _ -, beginning with a "
            "letter or digit."
        )
    stem = next((name[: -len(s)] for s in DATASET_SUFFIXES if name.endswith(s)), name)
    taken = {Path(n).stem.casefold() for n in store.datasets()}
    if not stem or stem.casefold() in taken:
        raise DatasetError(f"There is a dataset {stem!r} already; choose another name.")
    return store.data / f"{stem}.zarr"
