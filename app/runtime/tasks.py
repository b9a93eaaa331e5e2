"""Slow reading away from the event loop: done in a thread, handed back under the visitor's document lock."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

import panel as pn
from bokeh.document import Document
from panel.io.state import set_curdoc

from app.runtime.batching import batched_updates
from gsm3core.errors import GSM3Error

T = TypeVar("T")

_log = logging.getLogger(__name__)

_POOL = ThreadPoolExecutor(max_workers=2, thread_name_prefix="gsm3-reader")


class _OneByOne:
    """One thread for long work. A server that is stopped does not wait for it, as it would for an executor's."""

    def __init__(self, name: str) -> None:
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._waiting.put((future, work))
        return future

    def _work(self) -> None:
        while True:
            future, work = self._waiting.get()
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  # handed to whoever asked
                future.set_exception(error)


_LONG = _OneByOne("gsm3-analysis")


class Latest(Generic[T]):
    """Runs one piece of work at a time for one purpose; only the answer to the last question is handed back.

    Parameters
    ----------
    done
        Gets the result.
    failed
        Gets the message of an error that the user can act on.
    long
        Whether the work takes many seconds: it then waits for its like, and nobody's reading waits for it.
    """

    def __init__(
        self, done: Callable[[T], None], failed: Callable[[str], None], *, long: bool = False
    ) -> None:
        self._done = done
        self._failed = failed
        self._pool: ThreadPoolExecutor | _OneByOne = _LONG if long else _POOL
        self._asked = 0

    def now(self, work: Callable[[], T]) -> None:
        """Do quick work here and now; an answer that is still on its way is dropped."""
        self._asked += 1
        self._answer(self._asked, work)

    def later(self, work: Callable[[], T]) -> None:
        """Do slow work in a thread. Without a visitor's document (a script, a test), do it here."""
        self._asked += 1
        question = self._asked
        document = pn.state.curdoc
        if document is None or document.session_context is None:
            self._answer(question, work)
            return

        def hand_back(finished: Future[T | None]) -> None:
            # A plot may only be changed under its document's lock; this asks the event loop for it.
            if document.session_context is not None:
                document.add_next_tick_callback(
                    lambda: when_drawn(document, lambda: self._answer(question, finished.result))
                )

        def still_wanted() -> T | None:
            return work() if question == self._asked else None

        self._pool.submit(still_wanted).add_done_callback(hand_back)

    def drop(self) -> None:
        """Want no answer any more to what was asked."""
        self._asked += 1

    def _answer(self, question: int, result: Callable[[], T | None]) -> None:
        if question != self._asked:
            return
        with batched_updates():
            self._hand_over(result)

    def _hand_over(self, result: Callable[[], T | None]) -> None:
        try:
            answer = result()
        except (GSM3Error, OSError) as error:
            self._failed(str(error))
            return
        except Exception as error:  # noqa: BLE001  # else the sign of work would stay for ever
            _log.exception("Work for a visitor failed.")
            self._failed(
                f"This went wrong in the program itself ({type(error).__name__}: {error}); its log says more."
            )
            return
        self._done(answer)  # type: ignore[arg-type]  # None only where the question was dropped


def soon(act: Callable[[], None]) -> None:
    """Change the page of the visitor at hand as soon as it is drawn; without one (a script, a test), now."""
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        act()
        return

    def together_when_drawn() -> None:
        with batched_updates():
            act()

    when_drawn(document, together_when_drawn)


def when_drawn(document: Document, act: Callable[[], None]) -> None:
    """Change a visitor's page now, or as soon as the browser has drawn it for the first time.

    A change that crosses the page's first drawing on the wire names plots that the browser does not know yet or no
    longer knows: it then shows nothing at all.
    """
    with set_curdoc(document):
        pn.state.onload(act)
