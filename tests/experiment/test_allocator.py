"""A process that trains keeps the memory that a step frees: the next step maps none anew, and learns the same."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from gsm3core.experiment.allocator import keep_memory

# A product of 64 MB, more than glibc ever keeps by itself, taken and freed again and again, and the pages that were mapped
# after the first times, in which the places of the pieces settle.
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
DECIDING = (
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
)
glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the memory of another C library is left alone"
)


def told_by(how: str, **environment: str) -> dict[str, object]:
    usual = {
        name: value for name, value in os.environ.items() if name not in (*DECIDING, "THP_MEM_ALLOC_ENABLE")
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], env=usual | environment, capture_output=True, text=True, check=True
    )  # fmt: skip
    told: dict[str, object] = json.loads(done.stdout)
    return told


@glibc
def test_memory_that_is_kept_is_not_mapped_again() -> None:
    usual, kept = told_by("usual"), told_by("kept")
    pages = 30 * 2 * 4096 * 4096 * 4 // os.sysconf("SC_PAGE_SIZE")
    assert kept["kept"] is True
    assert int(str(usual["mapped"])) > pages / 2  # else there would be nothing to keep
    # Not none: a heap that is in pieces may grow by one or two more.
    assert int(str(kept["mapped"])) < int(str(usual["mapped"])) / 10
    assert kept["found"] == usual["found"] == [4096 * 4096 / 2]


@glibc
@pytest.mark.parametrize("name", ["MALLOC_MMAP_MAX_", "GLIBC_TUNABLES"])
def test_what_the_user_has_decided_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "65536")
    assert keep_memory() is False
