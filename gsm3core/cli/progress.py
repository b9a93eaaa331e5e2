"""Progress bar of commands that train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gsm3core.cli.common import console


@contextmanager
def progress_bar() -> Iterator[tuple[Progress, TaskID]]:
    """Yield a bar that starts with the first event, so that an earlier error is printed without a bar."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(12),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[scores]}"),
    )
    progress = Progress(*columns, console=console)
    task = progress.add_task("starting", total=1.0, scores="")
    try:
        yield progress, task
    finally:
        if progress.live.is_started:
            progress.stop()


def show_event(event: dict[str, Any], progress: Progress, task: TaskID) -> None:
    """Show one event of a run.

    Parameters
    ----------
    event
        As in :meth:`gsm3core.Run.events`.
    progress, task
        From :func:`progress_bar`.
    """
    progress.start()
    if event["event"] == "fold_started":
        training = ", ".join(f"{count} {name}" for name, count in event["train_sites"].items())
        sites = [f"training ({training})", f"test ({event['test_sites']})"]
        if event.get("validation_sites"):
            sites.insert(1, f"validation ({event['validation_sites']})")
        progress.console.print(
            f"[bold]{event['fold']}[/] ({event['index'] + 1} of {event['of']}, {event['device']}): sites for "
            + ", ".join(sites),
            highlight=False,
        )
    elif event["event"] == "progress":
        text = event["fold"]
        if event.get("members", 1) > 1:
            text += f" network {event['member'] + 1}/{event['members']}"
        text += f" epoch {event['epoch']}/{event['epochs']}"
        progress.update(task, completed=event["fraction"], description=text)
        if event.get("loss") is not None:
            scores = f"loss {event['loss']:.4f}"
            if "validation_R" in event:
                scores += f", validation R {event['validation_R']:.3f}"
            progress.update(task, scores=scores)
    elif event["event"] == "run_finished":
        progress.update(task, completed=1.0, description="finished", scores="")
