"""The exact versions of constraints.txt go together with the optional packages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {name.strip().lower().replace("_", "-"): version.strip() for name, version in pairs}


def test_extras_for_earthdata_and_the_climate_data_store_are_pinned_together() -> None:
    """earthaccess needs s3fs, which accepts fsspec of its own version only, and python-cmr, which needs python-dateutil 2."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = pins()
    for extra in ("earthdata", "cds"):
        for requirement in project["optional-dependencies"][extra]:
            assert re.split(r"[<>=!~\[ ]", requirement)[0] in found
    assert found["s3fs"] == found["fsspec"]
    assert found["python-dateutil"].startswith("2.") and "python-cmr" in found
