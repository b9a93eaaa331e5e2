"""Output heads: which differences between training targets each can represent."""

from __future__ import annotations

import pytest
import torch

from gsm3core.config import ModelConfig
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.training.objective import evaluate
from gsm3core.windows import Batch

B, T, F, A, H = 4, 12, 3, 2, 6
STREAMS = ("sm_insitu", "sm_smap")


def network(heads: str, head: str = "point", seed: int = 0) -> MultitaskLSTM:
    torch.manual_seed(seed)
    config = ModelConfig.model_validate({"hidden": H, "heads": heads, "head": head, "dropout": 0.0})
    return MultitaskLSTM(config, F, A, STREAMS)


def batches(seed: int = 1) -> dict[str, Batch]:
    g = torch.Generator().manual_seed(seed)
    site = torch.arange(B)
    return {
        n: Batch(
            torch.randn(B, T, F, generator=g), torch.randn(B, A, generator=g),
            0.3 * torch.rand(B, T, generator=g), site, site,
        )
        for n in STREAMS
    }  # fmt: skip


def gradients(model: MultitaskLSTM, given: dict[str, Batch], stream: str) -> dict[str, float]:
    """L1 norm of the gradient by parameter, of one stream's loss term."""
    model.zero_grad()
    other = {n: 0.0 for n in STREAMS if n != stream}
    evaluate(model, given, target=(0.2, 0.1), weights=other, precision="fp32").loss.backward()
    return {n: 0.0 if p.grad is None else float(p.grad.abs().sum()) for n, p in model.named_parameters()}


def test_the_first_stream_is_predicted() -> None:
    given = batches()["sm_insitu"]
    for heads in ("shared", "separate", "affine"):
        model = network(heads)
        h, _ = model.features(given.x_BTF, given.c_BA, None)
        torch.testing.assert_close(model(given.x_BTF, given.c_BA), model.output(h, "sm_insitu")[..., 0])


def test_shared_head_has_the_same_output_for_all_targets() -> None:
    given = batches()["sm_insitu"]
    model = network("shared")
    h, _ = model.features(given.x_BTF, given.c_BA, None)
    torch.testing.assert_close(model.output(h, "sm_insitu"), model.output(h, "sm_smap"), rtol=0, atol=0)


@pytest.mark.parametrize("head", ["point", "gaussian"])
def test_separate_heads_share_only_the_lstm(head: str) -> None:
    model = network("separate", head)
    found = {stream: gradients(model, batches(), stream) for stream in STREAMS}
    for stream, other in (STREAMS, STREAMS[::-1]):
        assert found[stream][f"head.{stream}.weight"] > 0
        assert found[stream][f"head.{other}.weight"] == 0
        assert found[stream]["lstm.weight_hh_l0"] > 0


@pytest.mark.parametrize("head", ["point", "gaussian"])
def test_affine_head_starts_as_the_shared_output(head: str) -> None:
    shared, affine = network("shared", head), network("affine", head)
    for stream in STREAMS:
        given = batches()[stream]
        h, _ = shared.features(given.x_BTF, given.c_BA, None)
        torch.testing.assert_close(affine.output(h, stream), shared.output(h, stream), rtol=0, atol=0)
    found = gradients(affine, batches(), "sm_insitu")
    assert found["head.shift.sm_smap"] == found["head.stretch.sm_smap"] == 0, (
        "in situ does not change SMAP's bias"
    )


def test_affine_head_is_bias_and_slope_of_the_first_target() -> None:
    model = network("affine", "gaussian")
    with torch.no_grad():
        model.head.shift["sm_smap"].copy_(torch.tensor([0.4, -0.3]))
        model.head.stretch["sm_smap"].fill_(-0.25)
    given = batches()["sm_smap"]
    h, _ = model.features(given.x_BTF, given.c_BA, None)
    y, satellite = model.output(h, "sm_insitu"), model.output(h, "sm_smap")
    torch.testing.assert_close(satellite[..., 0], 0.4 + 0.75 * y[..., 0])
    torch.testing.assert_close(satellite[..., 1], y[..., 1] - 0.3)


BIAS, SLOPE = 0.1, 0.6


def make_targets(windows: int, slope: float, seed: int) -> dict[str, Batch]:
    """Two training targets of one known series y; the satellite's is bias + slope y."""
    truth, g = network("shared", seed=9), torch.Generator().manual_seed(seed)
    given = {}
    for stream, a, b in (("sm_insitu", 0.0, 1.0), ("sm_smap", BIAS, slope)):
        x, c = torch.randn(windows, 20, F, generator=g), torch.randn(windows, A, generator=g)
        with torch.no_grad():
            y = 0.2 + 0.3 * truth(x, c)
        site = torch.arange(windows)
        given[stream] = Batch(x, c, a + b * y, site, site)
    return given


def fitted(heads: str, slope: float) -> tuple[MultitaskLSTM, dict[str, float]]:
    """Fit to both targets; also return the errors on other windows."""
    given, model = make_targets(128, slope, seed=4), network(heads)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        terms = evaluate(model, given, target=(0.2, 0.1), weights={}, precision="fp32")
        optimizer.zero_grad()
        terms.loss.backward()
        optimizer.step()
    validation = evaluate(
        model.eval(), make_targets(64, slope, seed=5), target=(0.2, 0.1), weights={}, precision="fp32"
    )
    return model, {n: t.item() for n, t in validation.rmse.items()}


def test_a_biased_target_degrades_only_the_shared_head() -> None:
    """The errors of one output against two records 0.1 apart add up to at least 0.1 (triangle inequality)."""
    assert sum(fitted("shared", 1.0)[1].values()) > 0.9 * BIAS
    for heads in ("separate", "affine"):
        assert sum(fitted(heads, 1.0)[1].values()) < BIAS / 2


def test_affine_head_recovers_bias_and_slope() -> None:
    model, errors = fitted("affine", SLOPE)
    assert sum(errors.values()) < BIAS / 2
    slope = 1 + model.head.stretch["sm_smap"].item()
    # The shift is in units of the target's standard deviation, 0.1, about its mean, 0.2.
    bias = 0.1 * model.head.shift["sm_smap"][0].item() + 0.2 * (1 - slope)
    assert slope == pytest.approx(SLOPE, abs=0.1)
    assert bias == pytest.approx(BIAS, abs=0.03)
