"""A training step never reads a value from the device, which would synchronise a GPU."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gsm3core.config import ModelConfig
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.training.epoch_metrics import EpochMetrics
from gsm3core.training.loss_checks import NonFiniteLossMonitor
from gsm3core.training.objective import evaluate
from gsm3core.training.step import Step, make_scaler
from support.folds import make_windows
from support.small_world import make_dataset

# Operators whose result's value or shape depends on numbers on the device.
READS = {"_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "equal", "_unique2", "item"}


class ReadRecorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = (
            name.startswith("index")
            and any(
                isinstance(i, torch.Tensor) and i.dtype == torch.bool
                for i in (args[1] if len(args) > 1 else ()) or ()
            )
            if name in ("index", "index_put")
            else False
        )
        if name in READS or by_mask:
            self.read.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("head", ["point", "gaussian"])
@pytest.mark.parametrize("heads", ["shared", "separate", "affine"])
@pytest.mark.parametrize("dropout_on", ["weights", "outputs"])
def test_a_step_never_synchronises(head: str, heads: str, dropout_on: str, precision: str) -> None:
    """The step of a GPU, with fused optimiser. For fp16 only the loss scaling: no CPU runs the network in it."""
    windows = make_windows(make_dataset(n_sites=8, n_days=200), window=50, warmup=5)
    noise = {"attribute_noise": 0.5, "forcing_noise": 0.2}
    options = {"hidden": 8, "head": head, "heads": heads, "dropout_on": dropout_on} | noise
    model = MultitaskLSTM(ModelConfig.model_validate(options), 2, 5, ("sm_insitu", "sm_smap"))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    objective = partial(
        evaluate, target=(0.2, 0.1), weights={"sm_smap": 0.5}, precision="fp32", dynamics_weight=2.0
    )
    step = Step(model, optimizer, make_scaler(precision, windows.device), objective, 1.0)
    non_finite, epoch_metrics = NonFiniteLossMonitor(), EpochMetrics(days=800)
    generator = windows.generator(0)
    with ReadRecorder() as recorder:
        for update, batches in enumerate(windows.epoch(8, 3, generator)):
            terms = step(batches)
            non_finite.record(update, terms, batches)
            epoch_metrics.add(terms)
    assert recorder.read == []
    with recorder:
        epoch_metrics.mean("rmse")
    assert "_local_scalar_dense" in recorder.read, "the recorder detects a read"
