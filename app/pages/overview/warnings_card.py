"""Warnings: experiments that stopped, the region with the worst scores, suspect records, and sites without a score."""

from __future__ import annotations

from functools import partial

import panel as pn
import panel_material_ui as pmui
import param

from app.services.evaluation import Evaluation
from app.services.run_monitor import RunMonitor
from app.services.score_warnings import ScoreWarning, find_warnings, stopped_experiments
from app.services.site_filters import Shown
from app.session.selection import Selection
from app.ui.card import card, heading, message_html, message_pane


class WarningsCard:
    """Card with one line per warning, and a button where the selection can be changed to show its cause.

    Parameters
    ----------
    selection
        Changed by the buttons.
    monitor
        Knows the experiments that stopped.
    """

    def __init__(self, selection: Selection, monitor: RunMonitor) -> None:
        self._selection = selection
        self._monitor = monitor
        self._of_scores: list[ScoreWarning] = []
        self._shown: list[ScoreWarning] | None = None
        self._rows = pn.Column(sizing_mode="stretch_width", margin=0)
        title = pn.pane.HTML(
            heading("Warnings", "Stopped experiments, the worst region, suspect in-situ records, and sites without a score."),
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip
        self.card = card(title, self._rows)

    def update(self, evaluation: Evaluation, shown: Shown) -> None:
        """Show the warnings about the scores at the sites shown."""
        self._of_scores = find_warnings(evaluation, shown, self._selection.product, self._selection.metric)
        self.refresh()

    def refresh(self) -> None:
        """Show experiments that have stopped since."""
        warnings = [*stopped_experiments(self._monitor.experiments.values()), *self._of_scores]
        if warnings != self._shown:
            self._shown = warnings
            rows = [self._row(warning) for warning in warnings]
            self._rows.objects = rows or [pn.pane.HTML("No warnings.", margin=0)]

    def _row(self, warning: ScoreWarning) -> pn.Row:
        message = message_pane(styles={"flex": "1 1 auto", "min-width": "0"})
        message.object = message_html(warning.kind, warning.text)
        contents: list[pn.viewable.Viewable] = [message]
        if warning.action:
            button = pmui.Button(
                label=warning.action,
                variant="text",
                size="small",
                margin=0,
                on_click=partial(self._act, warning),
            )
            contents.append(button)
        return pn.Row(*contents, sizing_mode="stretch_width", align="center", margin=(3, 0))

    def _act(self, warning: ScoreWarning, _: param.parameterized.Event) -> None:
        change = dict(warning.change or {})
        if product := change.pop("product", ""):
            self._selection.choose_product(str(product))
        self._selection.change(**change)
