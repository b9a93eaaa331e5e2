"""One experiment as it happens: how far it is, its loss, its log; and what can be done with it."""

from __future__ import annotations

from html import escape

import panel as pn
import panel_material_ui as pmui
import param

from app.export.dialog import ExportDialog, Item
from app.export.tables import of_losses
from app.pages.experiments.holdout_form import HOLDOUTS
from app.pages.experiments.loss_curve import LossCurve
from app.runtime.tasks import Latest
from app.services.run_monitor import RESUMABLE, Experiment, RunMonitor
from app.services.run_progress import Losses
from app.session.selection import EXPERIMENTS, Selection
from app.ui.card import card, heading

_LOG = """
pre { margin: 0; max-height: 180px; overflow: auto; font: 12px/1.5 ui-monospace, Menlo, Consolas, monospace;
  white-space: pre-wrap; padding: 10px 12px; border-radius: 8px;
  background: color-mix(in srgb, currentColor 6%, transparent); }
:host { color: var(--panel-on-surface-color); }
"""
_SEVERITY = {"failed": "error", "lost": "warning", "cancelled": "info"}


class ExperimentDetail:
    """The experiment that is followed.

    Parameters
    ----------
    selection
        Its ``experiment`` is shown; by default the newest.
    activity
        Of the server.
    take
        Lets a visitor take it away.
    """

    def __init__(self, selection: Selection, activity: RunMonitor, take: ExportDialog) -> None:
        self._selection = selection
        self._activity = activity
        self._asking: Latest[object] = Latest(lambda _: activity.soon(), self._refuse)
        self._title = pn.pane.HTML(
            heading("No experiment yet", "Choose what to hold out on the left, and launch one."),
            margin=0,
            sizing_mode="stretch_width",
        )
        self._bar = pmui.LinearProgress(
            value=0, variant="determinate", sizing_mode="stretch_width", margin=(4, 0)
        )
        self._doing = pn.pane.HTML(
            "", margin=(2, 0), sizing_mode="stretch_width", css_classes=["experiment-status"]
        )
        self._message = pmui.Alert(
            severity="error", visible=False, sizing_mode="stretch_width", margin=(6, 0)
        )
        self.show = pmui.Button(
            label="Show on map",
            variant="contained",
            icon="map",
            on_click=self._show_on_map,
            visible=False,
            margin=(4, 8, 4, 0),
        )
        self.resume = pmui.Button(
            label="Resume",
            variant="outlined",
            icon="play_arrow",
            on_click=lambda _: self._ask(activity.queue.resume),
            visible=False,
            margin=(4, 8, 4, 0),
        )
        self.cancel = pmui.Button(
            label="Cancel",
            variant="outlined",
            color="error",
            icon="stop",
            on_click=lambda _: self._ask(activity.queue.cancel),
            visible=False,
            margin=(4, 8, 4, 0),
        )
        self._curve = LossCurve(selection)
        self._log = pn.pane.HTML("", stylesheets=[_LOG], margin=(8, 0, 0, 0), sizing_mode="stretch_width")
        self._rest = pn.Column(
            self._bar,
            self._doing,
            self._message,
            pn.Row(self.show, self.resume, self.cancel, margin=0),
            self._log,
            visible=False,
            sizing_mode="stretch_width",
            margin=0,
        )
        item = Item(
            title="loss of the experiment",
            figures=lambda: {"Loss": self._curve.figure} if self._losses().epoch else {},
            tables={"Numbers": lambda: of_losses(self._losses())},
            code=self._code,
            code_title="The same numbers in Python; gsm3 runs show prints the configuration and the scores:",
            about=lambda: [f"loss in training, RMSE in m3 m-3; GSM3; run: {self._run_id()}"],
        )
        self.card = card(take.beside(self._title, item), self._rest)
        selection.param.watch(self._turned, ["experiment", "page"])
        self.look()

    def _turned(self, *_: param.parameterized.Event) -> None:
        if self._selection.page == EXPERIMENTS:
            self.look()

    def look(self) -> None:
        """Show how far the experiment is; called now and then."""
        chosen, experiment = self._selection.experiment, self._shown()
        if experiment is not None:
            self._describe(experiment)
        elif chosen:
            self._title.object = heading(
                "Waiting for the experiment", f"{chosen} is being prepared, or is not in the folder of runs."
            )

    def _describe(self, experiment: Experiment) -> None:
        progress, state = experiment.progress, experiment.state
        self._rest.visible = True
        label = HOLDOUTS.get(experiment.holdout, (experiment.holdout, ""))[0]
        self._title.object = heading(experiment.title, f"{label} holdout on {experiment.dataset}")
        starting = state == "running" and progress.fraction == 0
        self._bar.param.update(
            variant="indeterminate" if starting else "determinate", value=int(100 * progress.fraction)
        )
        self._doing.object = f'<span style="font-size:13.5px">{escape(sentence(experiment))}</span>'
        told = experiment.message and state in _SEVERITY
        self._message.param.update(
            object=experiment.message or "", severity=_SEVERITY.get(state, "info"), visible=bool(told)
        )
        self.show.visible = state == "finished"
        self.resume.visible = state in RESUMABLE
        self.cancel.param.update(visible=experiment.is_active, disabled=state == "cancelling")
        self._draw_losses(progress.losses)
        log = self._activity.log_tail(experiment.run).strip()
        self._log.param.update(object=f"<pre>{escape(log)}</pre>" if log else "", visible=bool(log))

    def _draw_losses(self, losses: Losses) -> None:
        # A plot that is changed out of sight before it was drawn fails in the browser: it comes with its first line.
        self._curve.show(losses)
        objects = [o for o in self._rest.objects if o is not self._curve.pane]
        if losses.epoch:
            objects.insert(-1, self._curve.pane)
        if objects != self._rest.objects:
            self._rest.objects = objects

    def _losses(self) -> Losses:
        experiment = self._shown()
        return experiment.progress.losses if experiment is not None else Losses()

    def _run_id(self) -> str:
        experiment = self._shown()
        return experiment.run if experiment is not None else "none"

    def _code(self) -> str:
        folder = self._activity.store.runs_folder
        return (
            f"# gsm3 runs show {self._run_id()} --out {folder}\n\nimport gsm3core\n\n"
            f'run = gsm3core.Run.open("{folder / self._run_id()}")\n'
            'told = [e for e in run.events() if e["event"] == "progress" and "loss" in e]\n'
            'print([(e["epoch"], e.get("loss_insitu"), e.get("loss_smap")) for e in told])\n'
        )

    def _show_on_map(self, _: param.parameterized.Event) -> None:
        experiment = self._shown()
        if experiment is not None:
            self._selection.show_run(experiment.run, experiment.dataset)

    def _ask(self, what: object) -> None:
        experiment = self._shown()
        if experiment is not None:
            run = experiment.run
            self._asking.later(lambda: what(run))  # type: ignore[operator]

    def _refuse(self, message: str) -> None:
        self._message.param.update(object=message, severity="error", visible=True)

    def _shown(self) -> Experiment | None:
        chosen = self._selection.experiment
        newest = self._activity.newest_active() or next(iter(self._activity.experiments.values()), None)
        return self._activity.experiments.get(chosen) if chosen else newest


def sentence(experiment: Experiment) -> str:
    """Return what an experiment is doing, as a person would say it."""
    p = experiment.progress
    if experiment.state == "queued":
        return "Waiting: another experiment is running."
    if experiment.state == "cancelling":
        return "Stopping at the next safe point."
    if experiment.state == "finished":
        return "Finished" + (f" in {duration(p.seconds)}." if p.seconds else ".")
    if experiment.state in RESUMABLE:
        how = {"failed": "Failed", "cancelled": "Cancelled", "lost": "Stopped without a word"}[
            experiment.state
        ]
        return f"{how}{f' at {p.fraction:.0%}' if p.fraction else ''}."
    if not p.epochs:
        return "Reading the data."
    left = f"about {duration(p.seconds_left)} left" if p.seconds_left is not None else ""
    parts = [f"{p.fraction:.0%}"]
    if p.of > 1:
        parts.append(f"fold {p.index + 1} of {p.of} ({p.fold.replace('_', ' ')})")
    if p.members > 1:
        parts.append(f"network {p.member + 1} of {p.members}")
    if p.epochs > 1 or p.epoch:
        parts.append(f"epoch {min(p.epoch + 1, p.epochs)} of {p.epochs}")
    return " · ".join(filter(None, [*parts, left]))


def duration(seconds: float) -> str:
    """Return a length of time in the two largest units that matter."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
