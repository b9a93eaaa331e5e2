"""One update, ours and as it is usually written: the processes that the benchmark ``training`` asks in turns.

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
        Whether there is a linear layer to the hidden size, with the attributes in it once a window and not once a day,
        as in ours; otherwise all inputs go into the LSTM every day.

    Notes
    -----
    The backward pass has a product for the gradient of every weight and one for the gradient of every input that has
    one: data have none.
    """
    rows = batch * days
    recurrent = 3 * 2 * rows * hidden * 4 * hidden
    head = 3 * 2 * rows * hidden
    if not input_layer:
        return float(2 * 2 * rows * (forcings + attributes) * 4 * hidden + recurrent + head)
    inputs = 2 * 2 * (rows * forcings + batch * attributes) * hidden
    return float(inputs + 3 * 2 * rows * hidden * 4 * hidden + recurrent + head)


def plain(batch: int, days: int, forcings: int, attributes: int, hidden: int) -> Callable[[], None]:
    """Return the step as it is usually written: the same layers from torch.nn, dropout on the LSTM's output."""

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


def ours(
    batch: int, days: int, forcings: int, attributes: int, hidden: int, *, dropout_on: str, precision: str
) -> Callable[[], None]:
    """Return the step of the training loop, on one stream."""
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


def product(path: str) -> Callable[[], None]:
    """Return one product of two large matrices: the machine's rate, by the library that the LSTM uses or by BLAS.

    Notes
    -----
    ``a @ b`` in 32 bits goes to the BLAS that torch was built with (MKL). The LSTM is oneDNN's; the operator behind the
    compiler's fused linear layers reaches oneDNN's product, here with weights in oneDNN's own layout, as in its LSTM.
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
        serve(product(rest))
    elif kind == "plain":
        if rest == "kept":
            keep_memory()
        serve(plain(*sizes))
    else:
        keep_memory()
        dropout_on, precision = rest.split(":")
        serve(ours(*sizes, dropout_on=dropout_on, precision=precision))


if __name__ == "__main__":
    main(sys.argv[1:])
