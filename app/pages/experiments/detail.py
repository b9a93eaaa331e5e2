"""Details of one experiment: progress, training loss, log, and its actions."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from app.export.dialog import ExportDialog, ExportItem
from app.export.tables import loss_table
from app.pages.experiments.holdout_form import HOLDOUTS
from app.pages.experiments.loss_curve import LossCurve
from app.runtime.tasks import LatestTask
from app.services.run_monitor import RESUMABLE, Experiment, RunMonitor
from app.services.run_progress import LossHistory
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
    """The selected experiment, by default the active or newest one."""

    def __init__(self, selection: Selection, monitor: RunMonitor, export: ExportDialog) -> None:
        self._selection = selection
        self._monitor = monitor
        self._queue_request: LatestTask[object] = LatestTask(lambda _: monitor.wake(), self._show_error)
        self._title = pn.pane.HTML(
            heading("No experiment yet", "Configure an experiment in the sidebar and launch it."),
            margin=0,
            sizing_mode="stretch_width",
        )
        self._bar = pmui.LinearProgress(
            value=0, variant="determinate", sizing_mode="stretch_width", margin=(4, 0)
        )
        self._status = pn.pane.HTML(
            "", margin=(2, 0), sizing_mode="stretch_width", css_classes=["experiment-status"]
        )
        self._message = pmui.Alert(
            severity="error", visible=False, sizing_mode="stretch_width", margin=(6, 0)
        )
        self.show = _button("Show on map", "map", self._show_on_map, variant="contained")
        self.resume = _button("Resume", "play_arrow", lambda _: self._request(monitor.queue.resume))
        self.cancel = _button("Cancel", "stop", lambda _: self._request(monitor.queue.cancel), color="error")
        self._curve = LossCurve(selection)
        self._log = pn.pane.HTML("", stylesheets=[_LOG], margin=(8, 0, 0, 0), sizing_mode="stretch_width")
        self._content = pn.Column(
            self._bar,
            self._status,
            self._message,
            pn.Row(self.show, self.resume, self.cancel, margin=0),
            self._log,
            visible=False,
            sizing_mode="stretch_width",
            margin=0,
        )
        item = ExportItem(
            title="training loss",
            figures=lambda: {"Loss": self._curve.figure} if self._losses().epoch else {},
            tables={"Numbers": lambda: loss_table(self._losses())},
            code=self._code,
            code_title="Python code for these numbers; gsm3 runs show prints the configuration and the scores:",
            about=lambda: [f"training loss, RMSE in m3 m-3; GSM3; run: {self._run_id()}"],
        )
        self.card = card(export.heading_row(self._title, item), self._content)
        selection.param.watch(self._refresh_if_visible, ["experiment", "page"])
        self.refresh()

    def _refresh_if_visible(self, *_: param.parameterized.Event) -> None:
        if self._selection.page == EXPERIMENTS:
            self.refresh()

    def refresh(self) -> None:
        """Show the current state of the experiment; called periodically."""
        requested, experiment = self._selection.experiment, self._shown()
        if experiment is not None:
            self._describe(experiment)
        elif requested:
            self._title.object = heading(
                "Waiting for the experiment", f"{requested} is starting, or is not in the folder of runs."
            )

    def _describe(self, experiment: Experiment) -> None:
        progress, state = experiment.progress, experiment.state
        self._content.visible = True
        label = HOLDOUTS.get(experiment.holdout, (experiment.holdout, ""))[0]
        self._title.object = heading(experiment.title, f"{label} holdout on {experiment.dataset}")
        starting = state == "running" and progress.fraction == 0
        self._bar.param.update(
            variant="indeterminate" if starting else "determinate", value=int(100 * progress.fraction)
        )
        lines = (status_text(experiment), *progress.notes)
        self._status.object = f'<span style="font-size:13.5px">{"<br>".join(map(escape, lines))}</span>'
        has_message = bool(experiment.message) and state in _SEVERITY
        self._message.param.update(
            object=experiment.message or "", severity=_SEVERITY.get(state, "info"), visible=has_message
        )
        self.show.visible = state == "finished"
        self.resume.visible = state in RESUMABLE
        self.cancel.param.update(visible=experiment.is_active, disabled=state == "cancelling")
        self._draw_losses(progress.losses)
        log = self._monitor.log_tail(experiment.run).strip()
        self._log.param.update(object=f"<pre>{escape(log)}</pre>" if log else "", visible=bool(log))

    def _draw_losses(self, losses: LossHistory) -> None:
        # A plot that is updated before it was first rendered fails in the browser: add it with its first data.
        self._curve.show(losses)
        objects = [o for o in self._content.objects if o is not self._curve.pane]
        if losses.epoch:
            objects.insert(-1, self._curve.pane)
        if objects != self._content.objects:
            self._content.objects = objects

    def _losses(self) -> LossHistory:
        experiment = self._shown()
        return experiment.progress.losses if experiment is not None else LossHistory()

    def _run_id(self) -> str:
        experiment = self._shown()
        return experiment.run if experiment is not None else "none"

    def _code(self) -> str:
        folder = self._monitor.store.runs_folder
        return (
            f"# gsm3 runs show {self._run_id()} --out {folder}\n\nimport gsm3core\n\n"
            f"run = gsm3core.Run.open({str(folder / self._run_id())!r})\n"
            'epochs = [e for e in run.events() if e["event"] == "progress" and "loss" in e]\n'
            'print([(e["epoch"], e.get("loss_insitu"), e.get("loss_smap")) for e in epochs])\n'
        )

    def _show_on_map(self, _: param.parameterized.Event) -> None:
        experiment = self._shown()
        if experiment is not None:
            self._selection.show_run(experiment.run, experiment.dataset)

    def _request(self, action: Callable[[str], object]) -> None:
        experiment = self._shown()
        if experiment is not None:
            run = experiment.run
            self._queue_request.run_in_background(lambda: action(run))

    def _show_error(self, message: str) -> None:
        self._message.param.update(object=message, severity="error", visible=True)

    def _shown(self) -> Experiment | None:
        requested = self._selection.experiment
        default = self._monitor.newest_active() or next(iter(self._monitor.experiments.values()), None)
        return self._monitor.experiments.get(requested) if requested else default


def _button(label: str, icon: str, action: Callable[[Any], None], **style: str) -> pmui.Button:
    options = {"variant": "outlined"} | style
    return pmui.Button(label=label, icon=icon, on_click=action, visible=False, margin=(4, 8, 4, 0), **options)


def status_text(experiment: Experiment) -> str:
    """Return the state and progress of an experiment as text."""
    p = experiment.progress
    if experiment.state == "queued":
        return "Queued: another experiment is running."
    if experiment.state == "cancelling":
        return "Cancelling at the next safe point."
    if experiment.state == "finished":
        return "Finished" + (f" in {duration(p.seconds)}." if p.seconds else ".")
    if experiment.state in RESUMABLE:
        ending = {"failed": "Failed", "cancelled": "Cancelled", "lost": "Worker exited unexpectedly"}[
            experiment.state
        ]
        return f"{ending}{f' at {p.fraction:.0%}' if p.fraction else ''}."
    if not p.epochs:
        return "Loading data."
    left = f"about {duration(p.seconds_left)} left" if p.seconds_left is not None else ""
    parts = [f"{p.fraction:.0%}"]
    if p.of > 1:
        parts.append(f"fold {p.index + 1} of {p.of} ({p.fold.replace('_', ' ')})")
    if p.members > 1:
        parts.append(f"ensemble member {p.member + 1} of {p.members}")
    if p.epochs > 1 or p.epoch:
        parts.append(f"epoch {min(p.epoch + 1, p.epochs)} of {p.epochs}")
    return " · ".join(filter(None, [*parts, left]))


def duration(seconds: float) -> str:
    """Return a duration in its two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
