"""One training step of neuralhydrology, run with the interpreter of its environment.

python -m benchmarks.neuralhydrology_step BATCH DAYS FORCINGS ATTRIBUTES HIDDEN THREADS, with tests/ in PYTHONPATH. Its
CudaLSTM, loss and optimiser, built from its configuration; the body of ``BaseTrainer._train_epoch`` (1.13) without data
loader and progress bar.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from neuralhydrology.modelzoo import get_model
from neuralhydrology.training import get_loss_obj, get_optimizer
from neuralhydrology.utils.config import Config

from benchmarks.step_server import serve


def make_step(batch: int, days: int, forcings: int, attributes: int, hidden: int) -> Callable[[], None]:
    """Return a function that does one update on random data."""
    names = [f"x{k}" for k in range(forcings)]
    config = Config(
        {
            "experiment_name": "step", "run_dir": Path(tempfile.gettempdir()), "dataset": "generic",
            "model": "cudalstm", "head": "regression", "output_activation": "linear", "hidden_size": hidden,
            "initial_forget_bias": 1.0, "output_dropout": 0.5, "optimizer": "AdamW", "loss": "RMSE",
            "learning_rate": {0: 3e-3}, "clip_gradient_norm": 1.0, "seq_length": days, "predict_last_n": days,
            "dynamic_inputs": names, "static_attributes": [f"a{k}" for k in range(attributes)],
            "target_variables": ["y"],
        }
    )  # fmt: skip
    torch.manual_seed(0)
    model = get_model(config)
    optimizer, loss_of = get_optimizer(model, config), get_loss_obj(config)
    data = {
        "x_d": {name: torch.randn(batch, days, 1) for name in names},
        "x_s": torch.randn(batch, attributes),
        "y": torch.randn(batch, days, 1),
    }
    model.train()

    def step() -> None:
        prepared = model.pre_model_hook(data, is_train=True)
        loss, parts = loss_of(model(prepared), prepared)
        if torch.isnan(loss):
            raise FloatingPointError("the loss of neuralhydrology is NaN.")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_gradient_norm)
        optimizer.step()
        [part.item() for part in (loss, *parts.values())]

    return step


if __name__ == "__main__":
    *sizes, threads = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    serve(make_step(*sizes))
