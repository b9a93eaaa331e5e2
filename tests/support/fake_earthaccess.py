"""A module that speaks the API of the package earthaccess and serves SMAP granules of a folder."""

from __future__ import annotations

import importlib.machinery
import shutil
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Granule:
    name: str

    def data_links(self) -> list[str]:
        return [f"https://data.nsidc.earthdatacloud.nasa.gov/SMAP/SPL3SMP_E/005/2015/04/{self.name}"]


@dataclass
class Earthdata:
    """What was asked, and which granules fail; ``most`` is the largest number of whole granules seen at a time."""

    store: Path
    queries: list[dict[str, Any]] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)
    authenticated: bool = True
    most: int = 0

    def login(self, strategy: str = "all") -> Any:
        return types.SimpleNamespace(authenticated=self.authenticated)

    def search_data(self, **query: Any) -> list[Granule]:
        self.queries.append(query)
        first, last = (t.replace("-", "") for t in query["temporal"])
        names = sorted(p.name for p in self.store.iterdir())
        return [Granule(n) for n in names if first <= n.split("_")[5] <= last]

    def download(self, granules: list[Granule], local_path: str, threads: int = 8) -> list[Path]:
        paths = []
        for granule in granules:
            self.downloads.append(granule.name)
            if self.failing.get(granule.name, 0):
                self.failing[granule.name] -= 1
                raise RuntimeError(f"Download failed for {granule.name}. Status code: 502")
            target = Path(local_path) / granule.name
            if not target.exists():
                shutil.copy(self.store / granule.name, target)
            self.most = max(self.most, len(list(Path(local_path).iterdir())))
            paths.append(target)
        return paths


def install(monkeypatch: pytest.MonkeyPatch, store: Path) -> Earthdata:
    """Let ``import earthaccess`` give a fake, with an account in the environment."""
    fake = Earthdata(store)
    module = types.ModuleType("earthaccess")
    module.__spec__ = importlib.machinery.ModuleSpec("earthaccess", None)
    module.login, module.search_data, module.download = fake.login, fake.search_data, fake.download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "earthaccess", module)
    monkeypatch.setenv("EARTHDATA_TOKEN", "x")
    return fake
