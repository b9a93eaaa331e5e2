"""Peak memory of the training process."""

from __future__ import annotations

import subprocess
import sys

import psutil
import torch

from gsm3core.training.epoch_metrics import peak_memory

# sys.platform changes after the dependencies are imported: only the module under test sees Windows.
ON_WINDOWS = """
import sys
import psutil
import gsm3core.training.objective
sys.modules["resource"] = None
sys.platform = "win32"
from gsm3core.training.epoch_metrics import peak_memory
print(peak_memory.__name__)
"""


def test_peak_memory_is_at_least_the_current_memory() -> None:
    current = psutil.Process().memory_info().rss / 1e6
    assert peak_memory(torch.device("cpu"))["memory_mb"] > 0.9 * current


def test_the_module_is_imported_without_resource_on_windows() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_WINDOWS], check=True, timeout=120, capture_output=True, text=True
    )
    assert done.stdout.strip() == "peak_memory"
