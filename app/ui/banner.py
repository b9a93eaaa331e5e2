"""Lines above a page: simulated data, what is being read, what went wrong, and the first run that is training."""

from __future__ import annotations

from html import escape

import panel as pn
import panel_material_ui as pmui
import param

from app.session.controller import SessionController
from app.session.selection import EXPERIMENTS, Selection
from app.ui.card import strip, told

_SIMULATED = (
    "This demonstration was made by a model of a made-up world. It shows how GSM3 works, and says nothing "
    "about real soil or real satellites."
)


def simulated_strip(selection: Selection) -> pn.pane.HTML:
    """Return the line that stands above every page while what it shows is simulated."""
    line = strip(styles={"padding": "18px 20px 0"})
    line.object = told("warning", _SIMULATED, "Simulated data.")

    def update(*_: param.parameterized.Event) -> None:
        line.visible = selection.evaluation is not None and selection.evaluation.simulated

    selection.param.watch(update, "evaluation")
    update()
    return line


class Banner:
    """Messages that explain what the page shows or why it shows nothing.

    Parameters
    ----------
    selection, visitor
        Of this page.
    """

    def __init__(self, selection: Selection, visitor: SessionController) -> None:
        self._selection = selection
        self._visitor = visitor
        self._problem = strip(visible=False)
        self._working = strip(visible=False)
        self._waiting = pmui.LinearProgress(
            variant="indeterminate", sizing_mode="stretch_width", margin=0, visible=False
        )
        self._training = strip(styles={"flex": "1 1 auto"})
        watch = pmui.Button(
            label="Watch it train", variant="text", size="small", on_click=self._watch, margin=0
        )
        self._bar = pmui.LinearProgress(value=0, variant="determinate", sizing_mode="stretch_width", margin=0)
        self._first_run = pn.Column(
            pn.Row(self._training, watch, align="center", sizing_mode="stretch_width", margin=0),
            self._bar,
            visible=False,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.column = pn.Column(
            self._problem,
            self._working,
            self._waiting,
            self._first_run,
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[":host { gap: 10px; }"],
        )
        selection.param.watch(self._update, ["working_on", "problem", "evaluation"])
        self._update()

    def look(self) -> None:
        """Show how far the first run is; called now and then."""
        experiment = self._visitor.training_first_run()
        if experiment is not None:
            percent = int(100 * experiment.progress.fraction)
            doing = "waits for a free slot" if experiment.state == "queued" else f"is training ({percent} %)"
            self._training.object = told(
                "info", f"The first LSTM run {doing}. It appears here when it is done."
            )
            self._bar.value = percent
        if self._first_run.visible != (experiment is not None):
            self._first_run.visible = experiment is not None

    def _update(self, *_: param.parameterized.Event) -> None:
        selection = self._selection
        self._problem.param.update(
            object=told("error", selection.problem, "Nothing can be shown."), visible=bool(selection.problem)
        )
        self._working.param.update(
            object=f'<span style="font-size:13.5px;opacity:.8">{escape(selection.working_on)} …</span>',
            visible=bool(selection.working_on),
        )
        self._waiting.visible = bool(selection.working_on)
        self.look()

    def _watch(self, _: param.parameterized.Event) -> None:
        experiment = self._visitor.training_first_run()
        run = experiment.run if experiment else self._selection.experiment
        self._selection.change(page=EXPERIMENTS, experiment=run)
