"""The objective of one update against a computation in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsm3core.config import ModelConfig
from gsm3core.models.distribution import location_and_scale
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.training.objective import evaluate
from support.folds import make_windows
from support.small_world import make_dataset

TARGET = (0.2, 0.1)
WEIGHTS = {"sm_insitu": 1.0, "sm_smap": 0.5}


@pytest.mark.parametrize("head", ["point", "gaussian"])
def test_dynamics_weight_adds_the_centred_rmse(head: str) -> None:
    """The difference of the losses with and without the term is the weighted ubRMSE of the windows."""
    windows = make_windows(make_dataset(n_sites=8, n_days=300), window=100, warmup=10)
    torch.manual_seed(0)
    config = ModelConfig.model_validate({"hidden": 8, "dropout": 0.0, "head": head})
    model = MultitaskLSTM(config, 2, 5, tuple(WEIGHTS)).eval()
    batches = windows.draw(6, torch.Generator().manual_seed(0))
    with torch.no_grad():
        without, with_it = (
            evaluate(
                model, batches, target=TARGET, weights=WEIGHTS, precision="fp32", dynamics_weight=weight
            ).loss
            for weight in (0.0, 3.0)
        )
        expected = 0.0
        for name, batch in batches.items():
            h, _ = model.features(batch.x_BTF, batch.c_BA, None)
            error = (location_and_scale(model.output(h, name), TARGET)[0] - batch.y_BT).double().numpy()
            left = error - np.nanmean(error, axis=1, keepdims=True)
            expected += 3.0 * WEIGHTS[name] * np.sqrt(np.nanmean(left**2)) / TARGET[1]
    assert float(with_it - without) == pytest.approx(expected, rel=1e-4)
