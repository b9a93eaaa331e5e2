"""Paths of the files that ship with the project, in a checkout or an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

from gsm3core.errors import GSM3Error

_PACKAGE = Path(__file__).resolve().parent


def _folder(in_wheel: str, in_checkout: str) -> Path:
    for folder in (_PACKAGE / in_wheel, _PACKAGE.parent / in_checkout):
        if folder.is_dir():
            return folder
    raise GSM3Error(
        f"The folder {in_checkout!r} of the gsm3 package is missing next to {_PACKAGE}. Install gsm3 again."
    )


def catalog_folder() -> Path:
    """Return the folder of the data catalogue (one YAML file per source)."""
    return _folder("_data_catalog", "data_catalog")


def assets_folder() -> Path:
    """Return the folder of coastlines, logo and style sheet."""
    return _folder("_assets", "assets")


def import_path() -> dict[str, str]:
    """Return the environment variables with which another process imports this same gsm3core."""
    parent = _PACKAGE.parent
    if parent.name in ("site-packages", "dist-packages"):
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(parent), os.environ.get("PYTHONPATH")]))}


def presets() -> dict[str, Path]:
    """Return the preset experiment configurations by name."""
    return {path.stem: path for path in sorted((_PACKAGE / "presets").glob("*.toml"))}
