"""Which sites are shown: one answer, that every view on the page gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.evaluation import ALL_REGIONS, Evaluation
from gsm3core import vocabulary as v


@dataclass(frozen=True, eq=False)
class Shown:
    """The sites that the filters leave.

    Parameters
    ----------
    mask
        Over the sites of an evaluation.
    words
        What they have in common, as a heading says it.
    """

    mask: NDArray[np.bool_]
    words: str

    def same(self, other: Shown | None) -> bool:
        """Tell whether another answer shows the same sites in the same words."""
        return other is not None and self.words == other.words and np.array_equal(self.mask, other.mask)


def shown_sites(evaluation: Evaluation, region: str) -> Shown:
    """Return the sites of an evaluation that the filters leave.

    Parameters
    ----------
    evaluation
        What was loaded.
    region
        A region, or :data:`app.evaluation.ALL_REGIONS`.
    """
    if region == ALL_REGIONS:
        return Shown(np.ones(len(evaluation.sites), bool), "all sites")
    inside = (evaluation.sites[v.REGION] == region).to_numpy()
    return Shown(inside, region.replace("_", " "))
