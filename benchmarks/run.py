"""Command line of the benchmarks: python benchmarks/run.py NAME (see BENCHMARKS)."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# As a script, neither the repository nor tests/ (shared test datasets) is on the path.
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

BENCHMARKS = {
    "speed": "benchmarks.kernel_speed",
    "coverage": "benchmarks.interval_coverage",
    "scaled-coverage": "benchmarks.scaled_coverage",
    "cluster-coverage": "benchmarks.cluster_coverage",
    "parity": "benchmarks.metric_parity",
    "hawaii": "benchmarks.hawaii_products",
    "demo": "benchmarks.planted_errors",
    "factors": "benchmarks.factor_worlds",
    "dashboard": "benchmarks.dashboard",
    "factor-speed": "benchmarks.factor_speed",
    "real": "benchmarks.real_table",
    "ablation": "benchmarks.ablation",
    "ismn": "benchmarks.ismn_archive",
    "gpu": "benchmarks.gpu_speed",
    "training": "benchmarks.training_speed",
    "spin-up": "benchmarks.spin_up",
    "field": "benchmarks.field",
    "live": "benchmarks.live_services",
    "starter": "benchmarks.starter_resume",
}


def main() -> None:
    """Run the named benchmark; by default ``speed``."""
    name = sys.argv[1] if len(sys.argv) > 1 else "speed"
    if name not in BENCHMARKS:
        sys.exit(f"unknown benchmark {name!r}. Expected one of: {', '.join(BENCHMARKS)}.")
    import_module(BENCHMARKS[name]).main(sys.argv[2:])


if __name__ == "__main__":
    main()
