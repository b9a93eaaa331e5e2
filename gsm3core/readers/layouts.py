"""Open netCDF and HDF5 files of any version and layout; what does not fit is an error that describes the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from gsm3core.catalog import SourceEntry
from gsm3core.errors import DatasetError

_MAX_VARIABLES = 12
_HTML = "HTML or XML"
_FORMATS = (
    (b"\x89HDF\r\n\x1a\n", "h5netcdf"),
    (b"CDF\x01", "scipy"),
    (b"CDF\x02", "scipy"),
    (b"CDF\x05", "netcdf4"),
)
_UNSUPPORTED = (
    (b"\x0e\x03\x13\x01", "HDF4", "Convert it with h4toh5 (HDF Group) or gdal_translate -of netCDF, or order netCDF"
     " from AppEEARS (https://appeears.earthdatacloud.nasa.gov)."),
    (b"GRIB", "GRIB", "Request data_format netcdf from the CDS, or convert it with cfgrib (pip install cfgrib), which may give"
     " several files: import cfgrib; [d.to_netcdf(f'era5_{i}.nc') for i, d in enumerate(cfgrib.open_datasets('FILE'))]"),
    (b"PK\x03\x04", "a zip archive", "Unpack it."),
    (b"\x1f\x8b", "gzip", "Unpack it with gunzip."),
    (b"BZh", "bzip2", "Unpack it with bunzip2."),
    (b"II*\0", "TIFF", "Convert it with gdal_translate -of netCDF."),
    (b"MM\0*", "TIFF", "Convert it with gdal_translate -of netCDF."),
    (b"<", _HTML, "It is probably a login or error page saved under the file's name: log in and download it again."),
)  # fmt: skip
# What a layout that a reader did not expect raises in it.
_LAYOUT_ERRORS = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, NotImplementedError)


class UnreadableFileError(DatasetError):
    """A file is truncated, damaged, or no file of data.

    Parameters
    ----------
    text
        The message.
    path
        The file.
    """

    def __init__(self, text: str, path: Path) -> None:
        super().__init__(text)
        self.path = path


_set_aside: ContextVar[bool] = ContextVar("set_aside", default=False)


@contextmanager
def damaged_files_set_aside(allowed: bool) -> Iterator[None]:
    """Read the other files of a source within the block, if allowed, where one is damaged; the reader's notes name it."""
    token = _set_aside.set(allowed)
    try:
        yield
    finally:
        _set_aside.reset(token)


@contextmanager
def noted_if_damaged(notes: list[str]) -> Iterator[None]:
    """Add a note for a damaged file that is read in the block, instead of the error, where that is allowed."""
    try:
        yield
    except UnreadableFileError as error:
        if not _set_aside.get():
            raise
        notes.append(f"not read: {str(error).replace(str(error.path), error.path.name)}")


@contextmanager
def open_layout(
    path: Path, what: str, *, group: str | None = None, decode: bool = True, wanted: Iterable[str] = ()
) -> Iterator[xr.Dataset]:
    """Open a file lazily, without decoding times; errors of its layout in the ``with`` block name file and dimensions.

    Parameters
    ----------
    what
        Expected content, for messages.
    group
        HDF5 group with the data. Without it, the group that has a wanted variable is used, or the root, where servers
        put the group's name before those of its variables.
    decode
        Apply fill values, scale factors and offsets of the file.
    wanted
        Names of variables that are looked for.

    Raises
    ------
    DatasetError
        If the file has an unsupported format, or does not fit to the code in the block; :class:`UnreadableFileError` if it is
        truncated or damaged.
    """
    engine = _engine_of(path, what)
    try:
        found = _find_group(path, group, tuple(wanted)) if engine == "h5netcdf" else None
        opened = _open(path, engine, found, decode)
    except (*_LAYOUT_ERRORS, OSError, RuntimeError) as error:
        raise UnreadableFileError(_not_opened(path, what, engine, error), path) from error
    with opened:
        ds = opened
        try:
            if found:
                ds = _with_root_coordinates(path, engine, ds)
            elif group:
                ds = _without_prefix(ds, group)
            yield ds
        except (OSError, RuntimeError) as error:
            raise UnreadableFileError(
                f"{path} cannot be read as {what}: {' '.join(str(error).split())}. The file is damaged: download it again.",
                path,
            ) from error
        except _LAYOUT_ERRORS as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise DatasetError(
                f"{path} does not have the layout of {what}: {text.rstrip('.')} ({type(error).__name__}). "
                f"It has {describe_layout(ds)}. Use the producer's files, or subset or convert them with a tool that keeps "
                "their variables and dimensions."
            ) from error


def describe_layout(ds: xr.Dataset) -> str:
    """Return the variables of a file with their dimensions and sizes."""
    names = [*ds.data_vars, *(c for c in ds.coords if c not in ds.dims)]
    shown = [
        f"{n}({', '.join(f'{d}: {s}' for d, s in ds[n].sizes.items())})"
        for n in names[:_MAX_VARIABLES]
    ]  # fmt: skip
    more = f" and {len(names) - _MAX_VARIABLES} more" if len(names) > _MAX_VARIABLES else ""
    return f"the variables {', '.join(shown)}{more}" if shown else "no variables"


def global_attributes(path: Path, ds: xr.Dataset) -> str:
    """Return the attributes of the whole file, one ``name: value`` per line.

    The product's short name, which SMAP files have in the group Metadata and MODIS files in ``CoreMetadata.0``, is the
    line ``short_name`` (https://github.com/nasa/harmony-opendap-subsetter lists where NASA's files have it).
    """
    found = dict(ds.attrs)
    with suppress(OSError, KeyError, ImportError):
        import h5py  # type: ignore[import-untyped]

        with h5py.File(path) as file:
            found |= dict(file.attrs)
            for name in ("Metadata/DatasetIdentification", "Metadata/SeriesIdentification"):
                if name in file:
                    found |= {k: x for k, x in file[name].attrs.items() if k not in found}
            for name in ("HDFEOS INFORMATION/CoreMetadata.0", "HDFEOS_INFORMATION/CoreMetadata.0"):
                if name in file:
                    found["CoreMetadata.0"] = file[name][()]
    # GDAL puts its name before those of the attributes that it copies.
    lines = {str(k).removeprefix("GDAL_"): " ".join(_text(x).split()) for k, x in found.items()}
    core = next((x for k, x in lines.items() if k.lower().startswith("coremetadata")), "")
    short = re.search(r"OBJECT\s*=\s*SHORTNAME.*?VALUE\s*=\s*\"?(\w+)", core)
    stated = next((x for k, x in lines.items() if k.lower() in ("shortname", "short_name")), "")
    if name := short[1] if short else stated:
        lines["short_name"] = name
    return "\n".join(f"{k}: {x}" for k, x in lines.items())


def check_product(entry: SourceEntry, path: Path, ds: xr.Dataset) -> None:
    """Raise if the attributes of a file state that it is another product.

    Raises
    ------
    DatasetError
        Naming the product found.
    """
    if not any(s.attributes for s in entry.siblings):
        return
    text = global_attributes(path, ds)
    for sibling in entry.siblings:
        if sibling.attributes and (match := re.search(f"^.*(?:{sibling.attributes}).*$", text, re.I | re.M)):
            line = match[0] if len(match[0]) < 120 else f"{match[0][:117]}..."
            raise DatasetError(
                f"{path} is {sibling.title}, not {entry.title}: its attributes have {line!r}. {sibling.advice}".strip()
            )


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.ndarray):
        return " ".join(map(_text, value.ravel()[:20].tolist()))
    return str(value)


def _engine_of(path: Path, what: str) -> str:
    try:
        with path.open("rb") as opened:
            head = opened.read(8)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from error
    for magic, name, advice in _UNSUPPORTED:
        if head.startswith(magic):
            text = f"{path} is {name}; expected netCDF or HDF5 of {what}. {advice}"
            raise UnreadableFileError(text, path) if name == _HTML else DatasetError(text)
    engine = next((e for magic, e in _FORMATS if head.startswith(magic)), None)
    if engine is None:
        size = path.stat().st_size
        raise UnreadableFileError(
            f"{path} is neither netCDF nor HDF5 ({what}): it has {size} bytes and starts with {head!r}. Compare its size with "
            "the distributor's and download it again.",
            path,
        )
    if engine == "netcdf4" and find_spec("netCDF4") is None:
        raise DatasetError(
            f"{path} is netCDF-3 with 64-bit data; expected netCDF-4, HDF5 or classic netCDF of {what}. Convert it with "
            "nccopy -k nc4."
        )
    return engine


def _open(path: Path, engine: str, group: str | None, decode: bool) -> xr.Dataset:
    options = {"phony_dims": "access"} if engine == "h5netcdf" else {}
    return xr.open_dataset(
        path, engine=engine, group=group, decode_times=False, mask_and_scale=decode, **options  # type: ignore[arg-type]
    )  # fmt: skip


def _not_opened(path: Path, what: str, engine: str, error: Exception) -> str:
    """Say what is wrong with a file that cannot be opened: truncated, or of an unknown layout."""
    text = " ".join(str(error).split()).rstrip(".")
    size = path.stat().st_size
    if "truncated file" in text:
        whole = re.search(r"stored_eof = (\d+)", text)
        of = f" of {whole[1]}" if whole else ""
        return f"{path} is truncated: it has {size}{of} bytes. Download it again."
    kind = {"h5netcdf": "HDF5", "scipy": "classic netCDF", "netcdf4": "netCDF"}[engine]
    return (
        f"{path} ({kind}, {size} bytes) cannot be opened as {what}: {text}. If the distributor's file is larger, download it "
        "again; otherwise convert it with nccopy -k nc4."
    )


def _find_group(path: Path, group: str | None, wanted: tuple[str, ...]) -> str | None:
    """Return the group with the data; ``None`` for the root."""
    if not group and not wanted:
        return None
    import h5py

    with h5py.File(path) as file:
        if group and group in file:
            return group
        # A subsetter may have put everything into the root.
        if not wanted or any(n in file and isinstance(file[n], h5py.Dataset) for n in wanted):
            return None
        if group and any(plain_name(n).startswith(plain_name(group)) for n in file):
            return None
        holders: list[str] = []
        file.visititems(
            lambda name, item: (
                holders.append(name)
                if isinstance(item, h5py.Group) and any(n in item for n in wanted)
                else None
            )
        )
        return holders[0] if holders else None


def _with_root_coordinates(path: Path, engine: str, ds: xr.Dataset) -> xr.Dataset:
    """Add the coordinates that lie in the root of a file to those of a group."""
    with _open(path, engine, None, True) as root:
        found = {
            n: root[n].load()
            for n in root.variables
            if n not in ds.variables and root[n].ndim == 1 and root[n].dims[0] in ds.dims and n in ds.dims
        }
    return ds.assign_coords(found) if found else ds


def plain_name(name: object) -> str:
    """Return a name in lower case with one underscore for everything but letters and digits."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def _without_prefix(ds: xr.Dataset, group: str) -> xr.Dataset:
    """Remove a group's name from the names of variables and dimensions, as servers write them into the root."""
    prefix = plain_name(group) + "_"

    def shorter(name: object) -> str:
        text = str(name)
        if not plain_name(text).startswith(prefix):
            return text
        # Count the letters and digits of the prefix, whatever separates them.
        rest, skip = iter(text), len(prefix.replace("_", ""))
        while skip:
            skip -= next(rest).isalnum()
        return re.sub(r"^[^A-Za-z0-9]+", "", "".join(rest))

    names = {n: shorter(n) for n in (*ds.variables, *ds.dims) if shorter(n) != str(n)}
    present = {*map(str, ds.variables), *map(str, ds.dims)}
    return ds.rename({n: x for n, x in names.items() if x not in present})
