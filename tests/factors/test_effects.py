"""Accumulated local effects against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from gsm3core.errors import DatasetError
from gsm3core.factors import Settings, effect_surface, factor_effect, factor_table
from gsm3core.factors.ale import ale, ale_interaction, bin_of, quantile_edges
from support.factor_tables import simulated, simulated_table

SMALL = Settings(trees=30, rounds=30)


def correlated(n: int = 5000) -> np.ndarray:
    """The first column uniform from -1 to 1, the second correlated with it (r = 0.94), the third independent."""
    rng = np.random.default_rng(0)
    a = rng.uniform(-1, 1, n)
    return np.column_stack([a, a + rng.normal(0, 0.2, n), rng.normal(size=n)])


def test_effects_of_correlated_factors_are_separated() -> None:
    x = correlated()
    edges = quantile_edges(x[:, 0], 40)
    found = ale(lambda a: a[:, 0] ** 2 + 3 * a[:, 1], x, 0, edges)
    np.testing.assert_allclose(np.diff(found), np.diff(edges**2), rtol=1e-9)
    # The chord of x^2 over a bin of width h is on average h^2 / 6 above x^2.
    np.testing.assert_allclose(found, edges**2 - (x[:, 0] ** 2).mean(), atol=2 * 0.05**2 / 6)
    np.testing.assert_allclose(ale(lambda a: 3 * a[:, 1], x, 0, edges), 0, atol=1e-12)


def test_effect_is_centred_over_the_sites() -> None:
    x = correlated(500)
    edges = quantile_edges(x[:, 1], 7)
    found = ale(lambda a: np.exp(a[:, 1]), x, 1, edges)
    assert np.interp(x[:, 1], edges, found).mean() == pytest.approx(0, abs=1e-12)
    np.testing.assert_array_equal(bin_of(edges, edges), [0, 0, 1, 2, 3, 4, 5, 6])


def test_interaction_of_a_product_and_none_of_a_sum() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (20_000, 2))
    edges = (np.linspace(-1, 1, 9), np.linspace(-1, 1, 11))
    edges = tuple(np.concatenate([[x[:, k].min()], e[1:-1], [x[:, k].max()]]) for k, e in enumerate(edges))
    np.testing.assert_allclose(
        ale_interaction(lambda a: a[:, 0] ** 3 - 2 * a[:, 1], x, (0, 1), edges), 0, atol=1e-12
    )
    # Independent and uniform about 0: the product has no main effects.
    found = ale_interaction(lambda a: a[:, 0] * a[:, 1], x, (0, 1), edges)
    np.testing.assert_allclose(found, np.outer(*edges), atol=0.02)
    main = ale(lambda a: a[:, 0] * a[:, 1], x, 0, edges[0])
    np.testing.assert_allclose(main, 0, atol=0.02)


def test_empty_cells_are_filled_from_the_nearest_cell() -> None:
    rng = np.random.default_rng(1)
    a = rng.uniform(0, 1, 4000)
    x = np.column_stack([a, np.clip(a + rng.uniform(-0.15, 0.15, 4000), 0, 1)])
    edges = (np.array([x[:, 0].min(), 0.25, 0.5, 0.75, x[:, 0].max()]),) * 2
    found = ale_interaction(lambda z: z[:, 0] * z[:, 1], x, (0, 1), edges)
    assert np.isfinite(found).all()
    # The step of a product over a cell is the cell's area, which is equal for all cells.
    steps = np.diff(np.diff(found, axis=0), axis=1)
    np.testing.assert_allclose(steps[1:-1, 1:-1], 0.0625, rtol=1e-9)


def test_effect_of_the_driver_is_its_slope() -> None:
    table = simulated_table()
    found = factor_effect(table, "driver", model="linear", bins=8, replicates=30)
    assert found.attrs["kind"] == "accumulated local effects" and "not cause" in found.attrs["note"]
    slope = np.diff(found["effect"]) / np.diff(found["edge"])
    np.testing.assert_allclose(slope, 0.2, rtol=0.1)
    truth = 0.2 * (found["edge"] - table.column("driver").mean())
    assert ((found["lower"] < truth + 0.01) & (truth - 0.01 < found["upper"])).all()
    assert int(found["sites"].sum()) == len(table)
    idle = factor_effect(table, "idle", settings=SMALL, bins=6, replicates=0)
    assert float(np.abs(idle["effect"]).max()) < 0.03 and idle["lower"].isnull().all()


def test_effect_of_a_class_is_the_mean_over_all_sites() -> None:
    scores, attributes = simulated()
    cover = np.random.default_rng(5).integers(0, 3, scores.sizes["site"])
    attributes["cover"] = (
        "site",
        cover.astype(float),
        {"flag_values": [0, 1, 2], "flag_meanings": "bare grass forest"},
    )
    scores["R"] = scores["R"] + xr.DataArray(np.array([0.0, 0.1, -0.1])[cover], dims="site")
    found = factor_effect(factor_table(scores, attributes), "cover", model="linear", replicates=0)
    assert list(found["class"].values) == ["bare", "grass", "forest"]
    np.testing.assert_allclose(found["effect"] - found["effect"][0], [0, 0.1, -0.1], atol=0.02)
    np.testing.assert_array_equal(found["sites"], np.bincount(cover))
    np.testing.assert_allclose((found["effect"] * found["sites"]).sum(), 0, atol=1e-9)


def test_surface_of_aspect_and_moisture() -> None:
    scores, attributes = simulated(n=600, signal=0.0)
    dry = attributes["mean_sm_smap"] <= 0.15
    scores["R"] = scores["R"] - 0.3 * (dry & (np.abs(attributes["poleward_aspect"]) > 0.6))
    found = effect_surface(factor_table(scores, attributes), bins=8, settings=Settings(trees=60))
    assert found.attrs["first"] == "poleward_aspect" and found.attrs["second"] == "mean_sm_smap"
    assert int(found["sites"].sum()) == 600
    low = found["effect"].sel(second_edge=slice(0, 0.1))
    ends = low.isel(first_edge=[0, -1]).mean()
    middle = low.sel(first_edge=slice(-0.4, 0.4)).mean()
    moist = found["effect"].sel(second_edge=slice(0.25, 1))
    assert float(middle - ends) == pytest.approx(0.3, abs=0.1)
    assert (
        abs(float(moist.isel(first_edge=[0, -1]).mean() - moist.sel(first_edge=slice(-0.4, 0.4)).mean()))
        < 0.05
    )
    with pytest.raises(DatasetError, match="two factors"):
        effect_surface(factor_table(scores, attributes), "mean_sm_smap")
