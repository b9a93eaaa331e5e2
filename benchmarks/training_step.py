"""One training step of GSM3 and of plain PyTorch: the processes of the benchmark ``training``.

python -m benchmarks.training_step VARIANT BATCH DAYS FORCINGS ATTRIBUTES HIDDEN THREADS
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import nn

from benchmarks.step_server import serve
from gsm3core.config import ModelConfig, TrainingConfig
from gsm3core.experiment.allocator import keep_memory
from gsm3core.models import make_model
from gsm3core.training.objective import evaluate
from gsm3core.training.optimizer import make_optimizer
from gsm3core.windows import Batch

DROPOUT = 0.5
MATRIX = 2048
MATRIX_FLOP = 2.0 * MATRIX**3
_TARGET = (0.2, 0.1)
_STREAM = "sm_insitu"


def lstm_flop(
    batch: int, days: int, forcings: int, attributes: int, hidden: int, *, input_layer: bool = True
) -> float:
    """Return the floating-point operations of the matrix products of one step, forward and backward.

    Parameters
    ----------
    batch, days, forcings, attributes, hidden
        Sizes.
    input_layer
        Whether a linear layer to the hidden size precedes the LSTM, applied to the attributes once per window (as in
        GSM3); otherwise all inputs enter the LSTM every day.

    Notes
    -----
    The backward pass has one product for the gradient of every weight and one for the gradient of every input, except
    the data.
    """
    rows = batch * days
    recurrent = 3 * 2 * rows * hidden * 4 * hidden
    head = 3 * 2 * rows * hidden
    if not input_layer:
        return float(2 * 2 * rows * (forcings + attributes) * 4 * hidden + recurrent + head)
    inputs = 2 * 2 * (rows * forcings + batch * attributes) * hidden
    return float(inputs + 3 * 2 * rows * hidden * 4 * hidden + recurrent + head)


def plain_step(batch: int, days: int, forcings: int, attributes: int, hidden: int) -> Callable[[], None]:
    """Return a plain PyTorch step: the same layers from torch.nn, dropout on the output of the LSTM."""

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(forcings + attributes, hidden)
            self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
            self.drop = nn.Dropout(DROPOUT)
            self.last = nn.Linear(hidden, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.drop(self.lstm(torch.relu(self.first(x)))[0]))[..., 0]

    model = Plain().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    x, y = torch.randn(batch, days, forcings + attributes), torch.randn(batch, days)

    def step() -> None:
        optimizer.zero_grad()
        torch.sqrt(nn.functional.mse_loss(model(x), y)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def gsm3_step(
    batch: int, days: int, forcings: int, attributes: int, hidden: int, *, dropout_on: str, precision: str
) -> Callable[[], None]:
    """Return a GSM3 training step with one stream."""
    config = ModelConfig.model_validate({"hidden": hidden, "dropout": DROPOUT, "dropout_on": dropout_on})
    model = make_model(config, forcings, attributes, (_STREAM,)).train()
    optimizer = make_optimizer(model, TrainingConfig())
    one = Batch(
        x_BTF=torch.randn(batch, days, forcings), c_BA=torch.randn(batch, attributes),
        y_BT=torch.rand(batch, days), site_B=torch.arange(batch), start_B=torch.zeros(batch, dtype=torch.long),
    )  # fmt: skip

    def step() -> None:
        terms = evaluate(model, {_STREAM: one}, target=_TARGET, weights={}, precision=precision)
        optimizer.zero_grad(set_to_none=True)
        terms.loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def matrix_product(path: str) -> Callable[[], None]:
    """Return a product of two large matrices by oneDNN, which the LSTM uses, or by BLAS.

    Notes
    -----
    ``a @ b`` in fp32 uses the BLAS that torch was built with (MKL). The operator behind the compiler's fused linear
    layers uses oneDNN, here with weights in oneDNN's layout, as in its LSTM.
    """
    a, w = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    if path == "blas":
        return lambda: torch.mm(a, w)
    if path == "onednn-bf16":
        a, w = a.bfloat16(), w.bfloat16()
    packed = torch.ops.mkldnn._reorder_linear_weight(w, MATRIX)

    def step() -> None:
        with torch.inference_mode():
            torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], "")

    return step


def main(arguments: list[str]) -> None:
    """Serve one variant."""
    variant, *numbers = arguments
    *sizes, threads = map(int, numbers)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    kind, _, rest = variant.partition(":")
    if kind == "matrix":
        serve(matrix_product(rest))
    elif kind == "plain":
        if rest == "retained":
            keep_memory()
        serve(plain_step(*sizes))
    else:
        keep_memory()
        dropout_on, precision = rest.split(":")
        serve(gsm3_step(*sizes, dropout_on=dropout_on, precision=precision))


if __name__ == "__main__":
    main(sys.argv[1:])
