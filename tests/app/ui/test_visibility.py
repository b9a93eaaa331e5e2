"""Nothing is drawn out of sight, nothing is forgotten, and what goes wrong is told."""

from __future__ import annotations

import logging

import panel as pn
import pytest

from app.runtime.tasks import _LONG, Latest
from app.session.selection import Selection
from app.ui.async_panel import AsyncPanel
from app.ui.visibility import while_visible
from gsm3core.errors import DatasetError


@pytest.fixture
def main():
    return pn.Column()


def test_work_follows_the_selection_in_sight(main):
    done = []
    selection = Selection()
    while_visible(main, selection, ["metric"], lambda: done.append(selection.metric))
    selection.metric = "RMSE"
    assert done == ["RMSE"]


def test_out_of_sight_it_is_done_once_on_return(main):
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
    assert done == ["bias"]  # nothing was owed


def test_a_result_that_comes_out_of_sight_is_drawn_on_return(main):
    drawn = []
    step = AsyncPanel(
        main, Selection(), "Counting", lambda result: drawn.append(result) or [pn.pane.HTML(str(result))]
    )
    main.visible = False
    step.ask(lambda: 3)
    assert (step.result, drawn) == (3, [])
    main.visible = True
    assert drawn == [3]
    step.clear()
    assert step.result is None


def test_what_goes_wrong_is_told_and_the_old_result_goes(main):
    step = AsyncPanel(main, Selection(), "Counting", lambda result: [pn.pane.HTML(str(result))])
    step.ask(lambda: 3)

    def fail():
        raise DatasetError("There is nothing to count.")

    step.ask(fail)
    assert step.result is None
    assert not step.busy
    words = [pane.object for pane in step.column.select(pn.pane.HTML) if pane.visible]
    assert any("There is nothing to count." in text for text in words)


def test_a_mistake_in_the_program_is_told_and_logged(caplog):
    told = []
    latest = Latest(lambda _: None, told.append)
    with caplog.at_level(logging.ERROR):
        latest.now(lambda: 1 / 0)
    assert "ZeroDivisionError" in told[0]
    assert "Work for a visitor failed" in caplog.text


def test_long_work_waits_for_its_like_and_hands_back_errors():
    order = []
    futures = [_LONG.submit(lambda k=k: order.append(k) or k) for k in range(5)]
    assert [f.result(10) for f in futures] == order == list(range(5))
    with pytest.raises(ValueError, match="no number"):
        _LONG.submit(lambda: (_ for _ in ()).throw(ValueError("no number"))).result(10)
