"""From one configuration to one Run: every fold trained, predicted and scored; resumable at any point."""

from gsm3core.experiment.allocator import prepare_process
from gsm3core.experiment.finetuning import create_finetune
from gsm3core.experiment.folds import satellite_groups
from gsm3core.experiment.forcing_comparison import compare_forcings
from gsm3core.experiment.runner import create_run, execute, run_experiment

__all__ = [
    "compare_forcings",
    "create_finetune",
    "create_run",
    "execute",
    "prepare_process",
    "run_experiment",
    "satellite_groups",
]
