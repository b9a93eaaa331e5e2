"""One update of a network's weights, from a batch to its loss: operation by operation, or recorded as a CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch

from gsm3core.errors import ConfigError
from gsm3core.models.base import Model
from gsm3core.training.objective import Terms
from gsm3core.windows import Batch

# Updates before the recording, in which libraries find their algorithms and the optimiser makes its state.
WARM_UP = 3
Objective = Callable[[Model, dict[str, Batch]], Terms]


@dataclass(frozen=True, slots=True)
class Step:
    """An update, carried out operation by operation; nothing in it reads a number back from the device.

    Parameters
    ----------
    model, optimizer
        What is moved.
    scaler
        Of the loss, in 16 bits of small range; else one that is not enabled, which does nothing.
    objective
        What is minimised: :func:`gsm3core.training.objective.evaluate` with all but model and batches given.
    clip_norm
        Largest norm of the gradient; 0 for no limit.
    """

    model: Model
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    objective: Objective
    clip_norm: float

    def __call__(self, batches: dict[str, Batch]) -> Terms:
        """Learn from one batch of every stream and return what its loss was before."""
        terms = self.objective(self.model, batches)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(terms.loss).backward()
        self.scaler.unscale_(self.optimizer)
        if self.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm, error_if_nonfinite=False)
        # A gradient that is not finite, at a scale that was too large, moves nothing; the scale is then halved.
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return terms


class CudaGraphStep:
    """The same update as one CUDA graph: recorded once, then started as a whole instead of kernel by kernel.

    Parameters
    ----------
    step
        What is recorded. Its optimiser keeps its state, its count and its learning rate on the device
        (:func:`gsm3core.training.optimizer.make_optimizer`): a number of the processor would be recorded as it is.
    device
        A GPU.

    Raises
    ------
    ConfigError
        If it is none.

    Notes
    -----
    The first three updates run as they are, beside the main stream, as a recording asks for
    (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs); they are real updates, not extra ones. After
    them a batch, drawn by index on the device, is copied to where the graph reads it, whatever it was drawn from. The
    random state of dropout is registered with every graph by torch itself, and each start moves it on: a checkpoint
    between two updates holds it. Memory that the graph uses is its own and is given back with it.
    """

    def __init__(self, step: Step, device: torch.device) -> None:
        if device.type != "cuda":
            raise ConfigError(
                f"training.cuda_graph records a step on a GPU, but the network runs on {device}. Leave it out."
            )
        self._step, self._device = step, device
        self._beside = torch.cuda.Stream(device)
        self._graph = torch.cuda.CUDAGraph()
        self._batches: dict[str, Batch] = {}
        self._terms: Terms | None = None
        self._warm_ups = 0

    def __call__(self, batches: dict[str, Batch]) -> Terms:
        """Learn from one batch of every stream, always of the same size, and return what its loss was before."""
        with torch.cuda.device(self._device):
            if self._warm_ups < WARM_UP:
                self._warm_ups += 1
                return self._beside_the_main_stream(batches)
            terms = self._terms or self._record(batches)
            for name, batch in batches.items():
                for part in fields(Batch):
                    getattr(self._batches[name], part.name).copy_(getattr(batch, part.name))
            self._graph.replay()
            return _copy_of(terms)

    def _beside_the_main_stream(self, batches: dict[str, Batch]) -> Terms:
        main = torch.cuda.current_stream()
        self._beside.wait_stream(main)
        with torch.cuda.stream(self._beside), warnings.catch_warnings():
            # That an optimiser for a recording runs outside of one is meant so.
            warnings.filterwarnings("ignore", message=".*capturable=True", category=UserWarning)
            terms = _copy_of(self._step(batches))
        main.wait_stream(self._beside)
        return terms

    def _record(self, batches: dict[str, Batch]) -> Terms:
        """Record an update; nothing is computed yet."""
        self._batches = {
            name: Batch(*(getattr(batch, part.name).clone() for part in fields(Batch)))
            for name, batch in batches.items()
        }
        # Another thread may read ahead from a disk meanwhile: only what this one does can break a recording.
        with torch.cuda.graph(self._graph, stream=self._beside, capture_error_mode="thread_local"):
            self._terms = self._step(self._batches)
        return self._terms


def _copy_of(terms: Terms) -> Terms:
    """What the next update does not write over, and what holds no memory of this one."""

    def copies(parts: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: part.detach().clone() for name, part in parts.items()}

    return Terms(
        terms.loss.detach().clone(),
        copies(terms.rmse),
        copies(terms.nll),
        copies(terms.taught),
        copies(terms.broken_B),
    )


def make_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Return what keeps the gradients of fp16 above its smallest number; for other precisions it does nothing.

    Notes
    -----
    The loss is multiplied by a scale that is halved when a gradient overflows and doubled after 2,000 updates without
    one (Micikevicius et al. 2018, arXiv:1710.03740).
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
