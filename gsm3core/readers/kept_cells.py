"""Granules of SMAP reduced to the cells around some sites: the producer's layout, names and values, other cells empty."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsm3core.errors import DatasetError
from gsm3core.geography.grids import GRIDS, cell_of

MARGIN = 3
"""Cells kept on each side of a site's cell: enough to interpolate and to average over 0.25 degrees."""
_ATTRIBUTE = "gsm3_kept_cells"
_GROUPS = {"Soil_Moisture_Retrieval_Data_AM": "", "Soil_Moisture_Retrieval_Data_PM": "_pm"}
_DATASETS = ("soil_moisture", "retrieval_qual_flag")
_CHUNKS = (203, 241)
_SHOWN = 3


def reduce_granule(
    source: Path, target: Path, lat: ArrayLike, lon: ArrayLike, *, also: ArrayLike = ()
) -> None:
    """Write the soil moisture and the quality flags around some sites, in the layout of SPL3SMP_E and SPL3SMP.

    Parameters
    ----------
    source
        The producer's granule.
    lat, lon
        Degrees, one pair per site.
    also
        Numbers of further cells to keep, of :func:`kept_cells`.

    Raises
    ------
    DatasetError
        If the granule cannot be read or has another layout.

    Notes
    -----
    Cells that are not kept have the producer's fill value and take no space. The attribute ``gsm3_kept_cells`` has the
    numbers of the cells of the sites (:func:`gsm3core.geography.grids.cell_of`), by which a build recognises sites that
    the file was not made for. Layout: doi:10.5067/4DQ54OUIJ9DL.
    """
    import h5py  # type: ignore[import-untyped]

    shapes = {(g.rows, g.columns): name for name, g in GRIDS.items()}
    try:
        with h5py.File(source) as whole, h5py.File(target, "w") as out:
            out.attrs.update(dict(whole.attrs))
            written = 0
            for group, tail in _GROUPS.items():
                if group not in whole:
                    continue
                for name in (f"{n}{tail}" for n in _DATASETS):
                    if name not in whole[group]:
                        raise DatasetError(
                            f"{source.name} has no {name} in {group}; expected the layout of SPL3SMP_E."
                        )
                    values = whole[group][name]
                    if values.shape not in shapes:
                        raise DatasetError(
                            f"{source.name}: {name} has the shape {values.shape}; expected a global map."
                        )
                    grid = shapes[values.shape]
                    cells = np.union1d(np.asarray(also, np.int64), site_cells(lat, lon, grid))
                    _copy(values, out.require_group(group), name, cells)
                    written += 1
            if not written:
                raise DatasetError(
                    f"{source.name} has no group {' or '.join(_GROUPS)}; expected the layout of SPL3SMP_E."
                )
            out.attrs[_ATTRIBUTE] = cells.astype(np.int64)
            out.attrs["gsm3_reduced_from"] = source.name
    except OSError as error:
        raise DatasetError(f"{source.name} cannot be read as HDF5: {error}.") from error


def site_cells(lat: ArrayLike, lon: ArrayLike, grid: str) -> NDArray[np.int64]:
    """Return the numbers of the cells of sites, each once; sites poleward of the grid have none."""
    cells = np.unique(cell_of(lat, lon, grid))
    return cells[cells >= 0]


def kept_cells(path: Path) -> NDArray[np.int64] | None:
    """Return the numbers of the cells of the sites that a granule was reduced to; ``None`` for any other file.

    Raises
    ------
    DatasetError
        If the file is damaged.
    """
    import h5py

    try:
        if path.suffix != ".h5" and not h5py.is_hdf5(path):
            return None  # a subset in classic netCDF
        with h5py.File(path) as file:
            return np.asarray(file.attrs[_ATTRIBUTE], np.int64) if _ATTRIBUTE in file.attrs else None
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read as HDF5: {error}. Remove it and download it again."
        ) from error


def check_kept_cells(
    paths: Iterable[Path], site: NDArray[np.str_], lat: ArrayLike, lon: ArrayLike, grid: str
) -> None:
    """Raise if a granule was reduced to other sites: these would have no values, as if the satellite had none.

    Raises
    ------
    DatasetError
        Naming the sites, the files and the command that downloads them.
    """
    if grid not in GRIDS:
        return
    cells = cell_of(lat, lon, grid)
    lacking, files = np.zeros(len(site), bool), []
    for path in paths:
        if (kept := kept_cells(path)) is not None and (missing := (cells >= 0) & ~np.isin(cells, kept)).any():
            lacking |= missing
            files.append(path)
    if files:
        names = [str(n) for n in site[lacking]]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise DatasetError(
            f"{len(files)} granules, such as {files[0].name}, were reduced to other sites and have no values at "
            f"{', '.join(names[:_SHOWN])}{more}. Download these sites too: "
            f"`gsm3 data pull smap --at SITES.csv --days FIRST:LAST --into {files[0].parent}`."
        )


def _copy(values: Any, group: Any, name: str, cells: NDArray[np.int64]) -> None:
    """Copy the windows around cells; chunks without any take no space in the file."""
    rows, columns = values.shape
    chunks = tuple(min(c, n) for c, n in zip(_CHUNKS, values.shape, strict=True))
    fill = values.attrs.get("_FillValue", values.fillvalue)
    out = group.create_dataset(
        name, values.shape, values.dtype, chunks=chunks, compression="gzip", compression_opts=4,
        fillvalue=np.asarray(fill).reshape(-1)[0],
    )  # fmt: skip
    out.attrs.update(
        {k: x for k, x in values.attrs.items() if k not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS")}
    )
    blocks: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for row, column in zip(*divmod(cells, columns), strict=True):
        near_rows = np.arange(max(row - MARGIN, 0), min(row + MARGIN + 1, rows))
        near_columns = np.arange(column - MARGIN, column + MARGIN + 1) % columns
        y, x = np.meshgrid(near_rows, near_columns, indexing="ij")
        for a, b in {
            (int(a), int(b)) for a, b in zip((y // chunks[0]).ravel(), (x // chunks[1]).ravel(), strict=True)
        }:
            wanted = blocks.setdefault((a, b), np.zeros(chunks, bool))
            inside = (y // chunks[0] == a) & (x // chunks[1] == b)
            wanted[y[inside] % chunks[0], x[inside] % chunks[1]] = True
    for (a, b), wanted in sorted(blocks.items()):
        where = tuple(
            slice(k * c, min((k + 1) * c, n)) for k, c, n in zip((a, b), chunks, (rows, columns), strict=True)
        )
        block = values[where]
        out[where] = np.where(wanted[: block.shape[0], : block.shape[1]], block, out.fillvalue)
