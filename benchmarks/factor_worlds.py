"""Power and false-positive rate of the factor analysis in demonstration worlds with a planted effect.

python benchmarks/run.py factors [--seeds 20] [--sites 400]

Planted: at dry sites facing strongly poleward or equatorward an unobserved process disturbs the soil water, which lowers
R. The score is the R of an ideal model (the true soil moisture without that disturbance) against the sensor, so that
low scores are due to the planted effect. Control: the same world and random numbers without the effect.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
import pandas as pd

from gsm3core import site_scores
from gsm3core import vocabulary as v
from gsm3core.demo import Scenario, demo_world
from gsm3core.factors import FactorTable, factor_table, importance_of, skill_strata
from gsm3core.factors.importance import NOISE

ASPECT, MOISTURE = "poleward_aspect", "mean_sm_smap"
LEVEL = 0.05


def table_of(seed: int, sites: int, effect: bool) -> FactorTable:
    """Return the factors of one world and the R of an ideal model."""
    world = demo_world(n_sites=sites, end="2017-03-31", seed=seed, planted=Scenario(aspect_effect=effect))
    modelled = world.truth["sm_modelled"].assign_attrs(units=v.SM_UNITS)
    return factor_table(site_scores(modelled, world.dataset[v.SM_INSITU], intervals="R"), world.dataset)


def findings(table: FactorTable) -> dict[str, Any]:
    """Return the results of the analysis in one world."""
    strata = skill_strata(table, permutations=1999, replicates=500)
    found = importance_of(table, models=("forest",), measures=("permutation",), repeats=2)
    one = found.sel(measure="permutation", model="forest")
    order = list(one["factor"].values[np.argsort(-one["importance"].values)])
    noise = one.sel(factor=NOISE)
    above = set(one["factor"].values[one["above_noise"].values])
    forest = found["cv_correlation"].sel(fitted="forest")
    dry, moist = (strata.isel(stratum=k) for k in (0, 1))
    return {
        "dry sites at extreme aspects": int(dry["second_sites"].values[[0, -1]].sum()),
        "difference": float(dry["outer_difference"]),
        "p": float(dry["outer_p"]),
        "dry stratum significantly lower (Holm)": bool(
            dry["outer_p_holm"] < LEVEL and dry["outer_difference"] < 0
        ),
        "dry stratum different at all (p alone)": bool(dry["outer_p"] < LEVEL),
        "moist stratum different at all (p alone)": bool(moist["outer_p"] < LEVEL),
        "aspect and mean soil moisture are the first two": set(order[:2]) == {ASPECT, MOISTURE},
        "aspect is among the first three": order.index(ASPECT) < 3,
        "aspect above noise": ASPECT in above,
        "mean soil moisture above noise": MOISTURE in above,
        "any other factor above noise": bool(above - {ASPECT, MOISTURE}),
        "interval of the noise column holds 0": bool(noise["lower"] <= 0 <= noise["upper"]),
        "cv random": float(forest.sel(scheme="random")),
        "cv network": float(forest.sel(scheme="network")),
        "cv block": float(forest.sel(scheme="spatial_block")),
    }


def main(arguments: list[str]) -> None:
    """Print the results of every world, and how often each finding holds with and without the effect."""
    parser = argparse.ArgumentParser(prog="run.py factors", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--sites", type=int, default=400)
    o = parser.parse_args(arguments)
    started = time.perf_counter()
    rows = []
    for seed in range(o.seeds):
        for effect in (True, False):
            rows.append({"seed": seed, "effect": effect, **findings(table_of(seed, o.sites, effect))})
            sys.stdout.write(
                f"{ {k: round(x, 4) if isinstance(x, float) else x for k, x in rows[-1].items()} }\n"
            )
            sys.stdout.flush()
    table = pd.DataFrame(rows).set_index("effect").drop(columns="seed")
    flags = table.select_dtypes(bool)
    counts = pd.DataFrame({"planted": flags[flags.index].sum(), "control": flags[~flags.index].sum()})
    sys.stdout.write(
        f"\nnumber of worlds, of {o.seeds}, in which it holds\n{counts.to_string()}\n\nmedian over worlds\n"
    )
    medians = table.select_dtypes("number").groupby(level=0).median().T
    sys.stdout.write(f"{medians.round(3).to_string()}\n{time.perf_counter() - started:.0f} s\n")
