"""What the answers on the Factors page are drawn in."""

from __future__ import annotations

import panel as pn

from app.pages.factors.effect import EffectPlot
from app.pages.factors.fits import FitsTable
from app.pages.factors.maps import FactorMap, SkillMap
from app.pages.factors.ranking import Ranking
from app.pages.factors.strata import StrataPlot
from app.pages.factors.surface import SurfacePlot
from app.session.selection import Selection
from app.ui.card import heading


class FactorViews:
    """Each view once; it is drawn again with every answer.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self.strata = StrataPlot(selection)
        self.map = FactorMap(selection)
        self.effect = EffectPlot(selection)
        self.ranking = Ranking(selection)
        self.fits = FitsTable()
        self.surface = SurfacePlot(selection)
        self.skill = SkillMap(selection)
        self.ranking_title = ranking_heading()


def ranking_heading() -> pn.pane.HTML:
    """Return the title above the ranking."""
    return _heading(
        "Which factors matter",
        "Models are fitted to tell the score from the factors, and asked at sites that they have not seen; a factor "
        "matters as far as shuffling it makes them worse.",
    )


def expected_heading() -> pn.pane.HTML:
    """Return the title above the expected scores."""
    return _heading(
        "What score to expect where nothing was measured",
        "A forest of quantiles tells the score from the factors, with an interval that is checked at sites held out.",
    )


def _heading(title: str, explanation: str) -> pn.pane.HTML:
    return pn.pane.HTML(heading(title, explanation), margin=0, sizing_mode="stretch_width")
