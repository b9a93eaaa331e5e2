"""Hidden pages draw nothing until shown; background tasks report results and errors."""

from __future__ import annotations

import logging

import panel as pn
import pytest

from app.runtime.tasks import _LONG_TASKS, LatestTask
from app.session.selection import Selection
from app.ui.async_panel import AsyncPanel
from app.ui.visibility import while_visible
from gsm3core.errors import DatasetError


@pytest.fixture
def main():
    return pn.Column()


def test_visible_page_follows_the_selection(main):
    done = []
    selection = Selection()
    while_visible(main, selection, ["metric"], lambda: done.append(selection.metric))
    selection.metric = "RMSE"
    assert done == ["RMSE"]


def test_hidden_page_is_updated_once_when_shown(main):
    done = []
    selection = Selection()
    while_visible(main, selection, ["metric", "product"], lambda: done.append(selection.metric))
    main.visible = False
    selection.metric = "RMSE"
    selection.metric = "bias"
    assert done == []
    main.visible = True
    assert done == ["bias"]
    main.visible = False
    main.visible = True
    assert done == ["bias"]  # nothing was pending


def test_result_of_a_hidden_page_is_drawn_when_shown(main):
    drawn = []
    panel = AsyncPanel(
        main, Selection(), "Counting", lambda result: drawn.append(result) or [pn.pane.HTML(str(result))]
    )
    main.visible = False
    panel.compute(lambda: 3)
    assert (panel.result, drawn) == (3, [])
    main.visible = True
    assert drawn == [3]
    panel.clear()
    assert panel.result is None


def test_error_is_shown_and_clears_the_result(main):
    panel = AsyncPanel(main, Selection(), "Counting", lambda result: [pn.pane.HTML(str(result))])
    panel.compute(lambda: 3)

    def fail():
        raise DatasetError("There is nothing to count.")

    panel.compute(fail)
    assert panel.result is None
    assert not panel.busy
    texts = [pane.object for pane in panel.column.select(pn.pane.HTML) if pane.visible]
    assert any("There is nothing to count." in text for text in texts)


def test_unexpected_error_is_shown_and_logged(caplog):
    errors = []
    task = LatestTask(lambda _: None, errors.append)
    with caplog.at_level(logging.ERROR):
        task.run_now(lambda: 1 / 0)
    assert "ZeroDivisionError" in errors[0]
    assert "A background task failed" in caplog.text


def test_long_tasks_run_in_order_and_raise_errors():
    order = []
    futures = [_LONG_TASKS.submit(lambda k=k: order.append(k) or k) for k in range(5)]
    assert [f.result(10) for f in futures] == order == list(range(5))
    with pytest.raises(ValueError, match="no number"):
        _LONG_TASKS.submit(lambda: (_ for _ in ()).throw(ValueError("no number"))).result(10)
