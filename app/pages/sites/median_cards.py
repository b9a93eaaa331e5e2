"""Median score of every product over the sites shown, one card per product; a click selects the product."""

from __future__ import annotations

from html import escape

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param

from app.services.metric_labels import metric_label
from app.session.selection import Selection
from app.ui.theme import SCALES, product_colour
from gsm3core.metrics import TRIPLE_METRICS

_CARD = """
:host { width: 100% !important; }
.card { box-sizing: border-box; padding: 10px 14px 9px; border-radius: 10px; text-align: left;
  border: 1px solid color-mix(in srgb, var(--panel-on-surface-color) 16%, transparent);
  border-left: 5px solid var(--tint);
  background: var(--panel-surface-color); color: var(--panel-on-surface-color); font-family: inherit; }
.caption { font-size: 13px; opacity: .8; color: var(--panel-on-surface-color); }
.card.chosen { box-shadow: 0 0 0 2px var(--tint); }
.name { font-size: 13px; font-weight: 600; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.value { font-size: 25px; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; }
.sites { font-size: 12px; opacity: .78; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
"""
_ROW = """
:host { flex-wrap: wrap; gap: 12px !important; }
"""


class MedianCards:
    """A row of cards with a caption.

    Parameters
    ----------
    selection
        A click on a card changes its product.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._cards: dict[str, pn.pane.HTML] = {}
        self._caption = pn.pane.HTML(stylesheets=[_CARD], margin=(0, 0, 6, 2), sizing_mode="stretch_width")
        self._row = pn.Row(sizing_mode="stretch_width", stylesheets=[_ROW], margin=0)
        self.column = pn.Column(self._caption, self._row, sizing_mode="stretch_width", margin=0)
        selection.param.watch(self._update, ["shown", "product", "metric", "theme"])
        self._update()

    def _update(self, *_: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        products = evaluation.products if evaluation is not None else []
        if list(self._cards) != products:
            self._cards = {
                name: pn.pane.HTML(stylesheets=[_CARD], sizing_mode="stretch_width", margin=0)
                for name in products
            }
            self._row.objects = [self._clickable(name) for name in products]
        self._caption.object = self._caption_html()
        for name, card in self._cards.items():
            card.object = self._card_html(name)

    def _clickable(self, product: str) -> pmui.Clickable:
        return pmui.Clickable(
            self._cards[product],
            on_click=lambda _: self._selection.choose_product(product),
            sizing_mode="stretch_width",
            margin=0,
            sx={"borderRadius": "10px"},
            styles={"flex": "1 1 150px", "min-width": "0"},
        )

    def _caption_html(self) -> str:
        selection, evaluation = self._selection, self._selection.evaluation
        if evaluation is None or not evaluation.products:
            return ""
        text = (
            f"Median {metric_label(selection.metric)} against {evaluation.against}, "
            f"{selection.shown.words}{evaluation.conditions}"
        )
        return f'<div class="caption">{text}</div>'

    def _card_html(self, product: str) -> str:
        selection = self._selection
        values = selection.evaluation.values(product, selection.metric)[selection.shown.mask]
        valid = values[np.isfinite(values)]
        median = (
            f"{np.median(valid):.{SCALES[selection.metric].digits}f}".replace("-", "−") if valid.size else "–"
        )
        missing = values.size - valid.size
        count = f"{valid.size} of {values.size} sites" if missing else f"{valid.size} sites"
        explanation = (
            f"{missing} of {values.size} sites have no score; hover over them on the map for the reason"
            if missing
            else ""
        )
        if selection.metric in TRIPLE_METRICS:
            triplet = selection.evaluation.triplet(product)
            explanation = triplet
            third = triplet.rpartition(" and ")[2]
            count += f", with {third}" if triplet.startswith("Triplet") else ", no triplet"
        chosen = "chosen" if product == selection.product else ""
        return (
            f'<div class="card {chosen}" style="--tint:{product_colour(product, dark=selection.dark)}">'
            f'<div class="name" title="{escape(product)}">{escape(product)}</div>'
            f'<div class="value">{median}</div>'
            f'<div class="sites" title="{escape(explanation)}">{escape(count)}</div></div>'
        )
