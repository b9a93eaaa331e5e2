"""Colours of the compared products and runs."""

from __future__ import annotations

from app.services.comparison import Comparison
from app.ui.theme import product_colour
from gsm3core import vocabulary as v

_SECOND_RUN = ("#009e73", "#5fe0b8")  # light page, dark page


def compared_colour(comparison: Comparison, product: str, *, dark: bool) -> str:
    """Return the colour of a product or run; a second run has a colour of its own."""
    order = list(comparison.runs)
    if product in order:
        own = product if len(order) == 1 else v.MULTITASK_LSTM
        return _SECOND_RUN[dark] if order.index(product) else product_colour(own, dark=dark)
    return product_colour(product, dark=dark)
