"""Views of the results on the Factors page."""

from __future__ import annotations

import panel as pn

from app.pages.factors.cross_validation import CrossValidationTable
from app.pages.factors.effect import EffectPlot
from app.pages.factors.importance import ImportancePlot
from app.pages.factors.maps import FactorMap, SkillMap
from app.pages.factors.strata import StrataPlot
from app.pages.factors.surface import SurfacePlot
from app.session.selection import Selection
from app.ui.card import heading


class FactorViews:
    """The views; each is updated with every new result."""

    def __init__(self, selection: Selection) -> None:
        self.strata = StrataPlot(selection)
        self.map = FactorMap(selection)
        self.effect = EffectPlot(selection)
        self.importance = ImportancePlot(selection)
        self.cross_validation = CrossValidationTable()
        self.surface = SurfacePlot(selection)
        self.skill = SkillMap(selection)
        self.importance_title = importance_heading()


def importance_heading() -> pn.pane.HTML:
    """Return the title above the factor importance."""
    return _heading(
        "Factor importance",
        "Models predict the score from the factors and are evaluated at held-out sites. Permutation importance is the loss "
        "of skill when a factor is permuted.",
    )


def expected_heading() -> pn.pane.HTML:
    """Return the title above the expected scores."""
    return _heading(
        "Expected skill at ungauged sites",
        "A quantile regression forest predicts the score from the factors; the coverage of its interval is checked at "
        "held-out sites.",
    )


def _heading(title: str, explanation: str) -> pn.pane.HTML:
    return pn.pane.HTML(heading(title, explanation), margin=0, sizing_mode="stretch_width")
