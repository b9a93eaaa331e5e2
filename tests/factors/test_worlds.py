"""The factor analysis of simulated data with planted effects and of published scores."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core import site_scores
from gsm3core.demo import Scenario, demo_world
from gsm3core.factors import (
    FactorTable,
    Settings,
    effect_surface,
    factor_table,
    fit_skill,
    importance_of,
    skill_strata,
)


@cache
def world_table(aspect_effect: bool) -> FactorTable:
    """Scores of a perfect model: the simulated truth without the unpredictable disturbance.

    A seventh of the sites are dry, and half of these have an extreme aspect: of 400, too few for a reliable ranking.
    """
    world = demo_world(n_sites=800, end="2017-03-31", seed=0, planted=Scenario(aspect_effect=aspect_effect))
    modelled = world.truth["sm_modelled"].assign_attrs(units="m3 m-3")
    scores = site_scores(modelled, world.dataset["sm_insitu"], intervals="R")
    return factor_table(scores, world.dataset)


def test_planted_aspect_effect_is_detected() -> None:
    on, off = (skill_strata(world_table(e), permutations=999, replicates=300) for e in (True, False))
    assert float(on["outer_p_holm"][0]) < 0.01 and float(on["outer_difference_upper"][0]) < 0
    assert float(off["outer_p_holm"][0]) > 0.05
    # No effect was planted at moist sites: they are the same in both worlds.
    xr.testing.assert_allclose(on.isel(stratum=1)["second_median"], off.isel(stratum=1)["second_median"])


@pytest.mark.slow
def test_planted_factors_rank_first_and_noise_at_zero() -> None:
    found = importance_of(world_table(True), measures=("permutation",), repeats=2)
    one = found.sel(measure="permutation", model="forest")
    order = one["factor"].values[np.argsort(-one["importance"].values)]
    assert set(order[:2]) == {"poleward_aspect", "mean_sm_smap"}
    noise = one.sel(factor="random noise")
    assert float(noise["lower"]) < 0 < float(noise["upper"])
    assert float(found["cv_r2"].sel(scheme="network", fitted="forest")) > float(
        found["cv_r2"].sel(scheme="network", fitted="linear")
    )
    without = importance_of(world_table(False), measures=("permutation",), repeats=2)
    assert not without["above_noise"].sel(factor=["poleward_aspect", "mean_sm_smap"]).any()


@pytest.mark.slow
def test_surface_and_expected_skill_of_planted_effects() -> None:
    table = world_table(True)
    surface = effect_surface(table)
    dry = surface["effect"].isel(second_edge=slice(0, 2)).mean("second_edge")
    assert float(dry.isel(first_edge=[0, -1]).max()) < float(dry.sel(first_edge=slice(-0.4, 0.4)).max())
    model = fit_skill(table)
    assert abs(model.covered - 0.9) < 0.04 and model.correlation > 0.3


@pytest.mark.slow
def test_published_scores_of_two_products(real_data: Path) -> None:
    """Sites of one climate cell have identical aridity and temperature, so random folds overrate the fit."""
    table = pd.read_csv(real_data / "somo_published_scores.csv")
    climate = ["arid", "temp", "region"]
    site = np.array([f"cell {i}" for i in range(len(table))])
    group = table.groupby(climate).ngroup().astype(str).to_numpy()
    attributes = xr.Dataset(
        {"aridity": ("site", table["arid"]), "mean_air_temperature": ("site", table["temp"])},
        coords={"site": site, "network": ("site", group), "region": ("site", table["region"].to_numpy(str))},
    )
    for product in ("ml", "era5"):
        scores = xr.Dataset({"R": ("site", table[f"{product}_corr"])}, coords={"site": site})
        found = importance_of(
            factor_table(scores, attributes), models=("forest",), measures=("permutation",), repeats=1,
            settings=Settings(trees=60),
        )  # fmt: skip
        forest = found["cv_correlation"].sel(fitted="forest")
        assert float(forest.sel(scheme="random")) > float(forest.sel(scheme="network")) + 0.05
