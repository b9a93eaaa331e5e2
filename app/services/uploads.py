"""Uploaded tables: join one to a dataset and write the result as a new dataset; the original is never changed."""

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
from gsm3core.user_tables.upload import MAX_UPLOAD_BYTES, Upload, check_upload, upload_file

PRODUCT, NETWORK = "product", "network"
# The name becomes a file name in the data folder: no path separators, no hidden files.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}")


@dataclass(frozen=True, kw_only=True)
class UploadRequest:
    """Table to add to a dataset.

    Parameters
    ----------
    dataset
        Dataset that the table is joined to.
    kind
        ``product`` or ``network``.
    name
        Name of the product or network.
    units
        Used if the table states none.
    file
        File name on the user's machine.
    new_name
        Name of the new dataset, without suffix.
    """

    dataset: str
    kind: str
    name: str
    units: str
    file: str
    content: bytes
    new_name: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class UploadResult:
    """Result of adding a table.

    Parameters
    ----------
    dataset
        Name of the new dataset.
    sites
        One row per site of the table, with its outcome.
    used
        Number of sites with at least one value in the new dataset.
    days
        Number of daily values.
    """

    dataset: str
    sites: pd.DataFrame
    used: int
    days: int


def check(request: UploadRequest) -> Upload:
    """Return a summary of a table before it is added.

    Raises
    ------
    DatasetError
        If the table is not valid.
    """
    return check_upload(request.content, request.file, in_situ=request.kind == NETWORK, units=request.units)


def add(store: Store, request: UploadRequest) -> UploadResult:
    """Join a table to a dataset and write the result as a new dataset in the data folder.

    Raises
    ------
    GSM3Error
        If the table or a name is not valid, a name exists already, or no value of the table matches the dataset.
    """
    path = new_path(store, request.new_name)
    ds = store.dataset(request.dataset)
    with upload_file(request.content, request.file, max_bytes=MAX_UPLOAD_BYTES) as file:
        if request.kind == NETWORK:
            joined, report = add_network(
                ds, file, request.name, units=request.units, max_bytes=MAX_UPLOAD_BYTES
            )
            sites = report[["site", "outcome", "note", "neighbour", "km", "days"]]
        else:
            joined, step = add_product(
                ds, file, request.name, units=request.units, max_bytes=MAX_UPLOAD_BYTES
            )
            days = joined[v.SM_PRODUCT].sel({v.PRODUCT: request.name}).notnull().sum(v.TIME)
            sites = pd.DataFrame({"site": joined[v.SITE].values.astype(str), "days": days.values.astype(int)})
            sites = sites[sites["days"] > 0].assign(outcome="used", note="")
            reasons = dict.fromkeys(step["unknown_sites"], "not a site of the dataset") | step.get(
                "refused", {}
            )
            refused = pd.DataFrame(
                {"site": list(reasons), "days": 0, "outcome": "refused", "note": list(reasons.values())}
            )
            sites = pd.concat([sites, refused], ignore_index=True)[["site", "outcome", "note", "days"]]
        save_dataset(joined, path)
    used = sites["outcome"] == "used"
    return UploadResult(
        dataset=path.name, sites=sites, used=int(used.sum()), days=int(sites.loc[used, "days"].sum())
    )


def new_path(store: Store, name: str) -> Path:
    """Return the path of a new dataset.

    Raises
    ------
    DatasetError
        If the name is not valid or exists already.
    """
    name = name.strip()
    if not _NAME.fullmatch(name) or name.endswith((".", " ")):
        raise DatasetError(
            f"Invalid dataset name {name!r}: use 1 to 60 letters (a to z), digits, spaces and . _ -, starting with a "
            "letter or digit."
        )
    stem = next((name[: -len(s)] for s in DATASET_SUFFIXES if name.endswith(s)), name)
    existing = {Path(n).stem.casefold() for n in store.datasets()}
    if not stem or stem.casefold() in existing:
        raise DatasetError(f"Dataset {stem!r} exists already. Choose another name.")
    return store.data / f"{stem}.zarr"
