"""One update of a network's weights, eager or as a CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch

from gsm3core.errors import ConfigError
from gsm3core.models.base import Model
from gsm3core.training.objective import Terms
from gsm3core.windows import Batch

# Eager updates before capture, in which libraries choose their algorithms and the optimiser creates its state.
WARM_UP = 3
Objective = Callable[[Model, dict[str, Batch]], Terms]


@dataclass(frozen=True, slots=True)
class Step:
    """An eager update; it never synchronises the device.

    Parameters
    ----------
    scaler
        The loss scaler of fp16; disabled for other precisions.
    objective
        :func:`gsm3core.training.objective.evaluate` with all arguments but model and batches bound.
    clip_norm
        Gradient clipping: the largest gradient norm; 0 turns it off.
    """

    model: Model
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    objective: Objective
    clip_norm: float

    def __call__(self, batches: dict[str, Batch]) -> Terms:
        """Update the weights with one batch of every stream and return its loss before the update."""
        terms = self.objective(self.model, batches)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(terms.loss).backward()
        self.scaler.unscale_(self.optimizer)
        if self.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm, error_if_nonfinite=False)
        # An update whose scaled gradient overflows is skipped; the scale is then halved.
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return terms


class CudaGraphStep:
    """The same update as a CUDA graph: captured once, then replayed as a whole instead of kernel by kernel.

    Parameters
    ----------
    step
        The update to capture. Its optimiser keeps state, step count and learning rate on the device
        (:func:`gsm3core.training.optimizer.make_optimizer`): a Python number would be captured as a constant.
    device
        A GPU.

    Raises
    ------
    ConfigError
        If the device is no GPU.

    Notes
    -----
    The first three updates run eagerly on a side stream, as capture requires
    (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs); they count as updates. After that each batch is
    copied into the graph's input tensors. torch registers the random state of dropout with the graph and advances it
    with each replay, so a checkpoint between two updates contains it. The graph's memory pool is freed with it.
    """

    def __init__(self, step: Step, device: torch.device) -> None:
        if device.type != "cuda":
            raise ConfigError(
                f"training.cuda_graph needs a GPU, but the network runs on {device}. Set it to false."
            )
        self._step, self._device = step, device
        self._capture_stream = torch.cuda.Stream(device)
        self._graph = torch.cuda.CUDAGraph()
        self._batches: dict[str, Batch] = {}
        self._terms: Terms | None = None
        self._warm_ups = 0

    def __call__(self, batches: dict[str, Batch]) -> Terms:
        """Update the weights with one batch of every stream, always of the same size; return its loss before."""
        with torch.cuda.device(self._device):
            if self._warm_ups < WARM_UP:
                self._warm_ups += 1
                return self._run_warm_up(batches)
            terms = self._terms or self._record(batches)
            for name, batch in batches.items():
                for part in fields(Batch):
                    getattr(self._batches[name], part.name).copy_(getattr(batch, part.name))
            self._graph.replay()
            return _copy_of(terms)

    def _run_warm_up(self, batches: dict[str, Batch]) -> Terms:
        main = torch.cuda.current_stream()
        self._capture_stream.wait_stream(main)
        with torch.cuda.stream(self._capture_stream), warnings.catch_warnings():
            # The optimiser is capturable on purpose, although warm-up updates are not captured.
            warnings.filterwarnings("ignore", message=".*capturable=True", category=UserWarning)
            terms = _copy_of(self._step(batches))
        main.wait_stream(self._capture_stream)
        return terms

    def _record(self, batches: dict[str, Batch]) -> Terms:
        """Capture an update; nothing is computed yet."""
        self._batches = {
            name: Batch(*(getattr(batch, part.name).clone() for part in fields(Batch)))
            for name, batch in batches.items()
        }
        # Another thread may prefetch from disk meanwhile: only calls of this thread may invalidate the capture.
        with torch.cuda.graph(self._graph, stream=self._capture_stream, capture_error_mode="thread_local"):
            self._terms = self._step(self._batches)
        return self._terms


def _copy_of(terms: Terms) -> Terms:
    """Return detached copies, which the next replay does not overwrite."""

    def copies(parts: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: part.detach().clone() for name, part in parts.items()}

    return Terms(
        terms.loss.detach().clone(),
        copies(terms.rmse),
        copies(terms.nll),
        copies(terms.has_target),
        copies(terms.non_finite_B),
    )


def make_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Return the loss scaler that prevents underflow of fp16 gradients; disabled for other precisions.

    Notes
    -----
    The loss is multiplied by a scale that is halved when a gradient overflows and doubled after 2,000 updates without
    overflow (Micikevicius et al. 2018, arXiv:1710.03740).
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
