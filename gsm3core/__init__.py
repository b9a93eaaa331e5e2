"""GSM3: train, test and diagnose a global multitask LSTM of surface soil moisture."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gsm3core.config import ExperimentConfig
    from gsm3core.evaluation.comparison import compare_products
    from gsm3core.evaluation.error_types import error_types
    from gsm3core.evaluation.period_scoring import score_periods
    from gsm3core.evaluation.periods import period_scores
    from gsm3core.evaluation.scoring import compare_runs, score_products, score_run
    from gsm3core.evaluation.site_scores import site_scores
    from gsm3core.evaluation.site_selection import select_sites
    from gsm3core.evaluation.stability import score_trends
    from gsm3core.evaluation.suspect_records import suspect_sites
    from gsm3core.evaluation.triple_collocation import triple_collocation
    from gsm3core.experiment import run_experiment
    from gsm3core.factors import factor_importance
    from gsm3core.prediction import predict
    from gsm3core.report import write_report
    from gsm3core.run import Run
    from gsm3core.schema import open_dataset
    from gsm3core.statistics.cluster_bootstrap import median_interval

__version__ = "0.1.0"
__all__ = [
    "ExperimentConfig",
    "Run",
    "compare_products",
    "compare_runs",
    "error_types",
    "factor_importance",
    "median_interval",
    "open_dataset",
    "period_scores",
    "predict",
    "run_experiment",
    "score_periods",
    "score_products",
    "score_run",
    "score_trends",
    "select_sites",
    "site_scores",
    "suspect_sites",
    "triple_collocation",
    "write_report",
]

_PUBLIC = {
    "ExperimentConfig": "gsm3core.config",
    "Run": "gsm3core.run",
    "open_dataset": "gsm3core.schema",
    "predict": "gsm3core.prediction",
    "compare_products": "gsm3core.evaluation.comparison",
    "compare_runs": "gsm3core.evaluation.scoring",
    "error_types": "gsm3core.evaluation.error_types",
    "factor_importance": "gsm3core.factors",
    "run_experiment": "gsm3core.experiment",
    "median_interval": "gsm3core.statistics.cluster_bootstrap",
    "score_periods": "gsm3core.evaluation.period_scoring",
    "score_products": "gsm3core.evaluation.scoring",
    "score_run": "gsm3core.evaluation.scoring",
    "score_trends": "gsm3core.evaluation.stability",
    "select_sites": "gsm3core.evaluation.site_selection",
    "site_scores": "gsm3core.evaluation.site_scores",
    "period_scores": "gsm3core.evaluation.periods",
    "suspect_sites": "gsm3core.evaluation.suspect_records",
    "triple_collocation": "gsm3core.evaluation.triple_collocation",
    "write_report": "gsm3core.report",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that ``import gsm3core`` stays cheap."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'gsm3core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
