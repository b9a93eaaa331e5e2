"""Freed memory is kept by a training process, without changing its results."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from gsm3core.experiment.allocator import keep_memory

# Allocates and frees arrays of 64 MB, more than glibc keeps by default, and counts the page faults after a warm-up of
# 6 steps.
PROGRAM = """
import json, resource, sys
from gsm3core.experiment.allocator import keep_memory, prepare_process
kept = keep_memory() if sys.argv[1] == "kept" else None
import torch
torch.set_num_threads(1)
def step():
    return float((torch.ones(4096, 4096) * 0.5).sum())
for _ in range(6):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
found = {step() for _ in range(30)}
mapped = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(json.dumps({"kept": kept, "mapped": mapped, "found": sorted(found)}))
"""
USER_SETTINGS = (
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
)
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only for glibc")


def measure(how: str, **environment: str) -> dict[str, object]:
    base = {
        name: value
        for name, value in os.environ.items()
        if name not in (*USER_SETTINGS, "THP_MEM_ALLOC_ENABLE")
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], env=base | environment, capture_output=True, text=True, check=True
    )  # fmt: skip
    result: dict[str, object] = json.loads(done.stdout)
    return result


@glibc
def test_kept_memory_is_not_mapped_again() -> None:
    default, kept = measure("default"), measure("kept")
    pages = 30 * 2 * 4096 * 4096 * 4 // os.sysconf("SC_PAGE_SIZE")
    assert kept["kept"] is True
    assert int(str(default["mapped"])) > pages / 2  # else the test measures nothing
    # Not zero: a fragmented heap may grow by one or two blocks.
    assert int(str(kept["mapped"])) < int(str(default["mapped"])) / 10
    assert kept["found"] == default["found"] == [4096 * 4096 / 2]


@glibc
@pytest.mark.parametrize("name", ["MALLOC_MMAP_MAX_", "GLIBC_TUNABLES"])
def test_user_settings_are_not_changed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "65536")
    assert keep_memory() is False
