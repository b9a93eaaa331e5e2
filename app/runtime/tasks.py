"""Background tasks: work in a thread, its result applied under the session's document lock."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

import panel as pn

from app.runtime.batching import batched_updates
from app.runtime.first_render import call_after_first_render
from gsm3core.errors import GSM3Error

T = TypeVar("T")

_log = logging.getLogger(__name__)

_POOL = ThreadPoolExecutor(max_workers=2, thread_name_prefix="gsm3-reader")


class _SingleWorker:
    """One daemon thread for long work. Unlike an executor's threads, it does not delay the server's shutdown."""

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._queue.put((future, work))
        return future

    def _run(self) -> None:
        while True:
            future, work = self._queue.get()
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  # raised again by future.result()
                future.set_exception(error)


_LONG_TASKS = _SingleWorker("gsm3-analysis")


class LatestTask(Generic[T]):
    """Run tasks of one purpose and report only the result of the latest one.

    Parameters
    ----------
    on_result
        Called with the result.
    on_error
        Called with an error message for the user.
    long
        Whether a task takes many seconds. Long tasks run one at a time in a thread of their own, so that short ones do
        not wait for them.
    """

    def __init__(
        self, on_result: Callable[[T], None], on_error: Callable[[str], None], *, long: bool = False
    ) -> None:
        self._on_result = on_result
        self._on_error = on_error
        self._executor: ThreadPoolExecutor | _SingleWorker = _LONG_TASKS if long else _POOL
        self._latest = 0

    def run_now(self, work: Callable[[], T]) -> None:
        """Run a short task in this thread; the result of an earlier one still running is discarded."""
        self._latest += 1
        self._finish(self._latest, work)

    def run_in_background(self, work: Callable[[], T]) -> None:
        """Run a task in a background thread; without a session (script, test) in this one."""
        self._latest += 1
        number = self._latest
        document = pn.state.curdoc
        if document is None or document.session_context is None:
            self._finish(number, work)
            return

        def on_done(future: Future[T | None]) -> None:
            # A document may only be changed under its lock, which the event loop holds for this callback.
            if document.session_context is not None:
                document.add_next_tick_callback(
                    lambda: call_after_first_render(document, lambda: self._finish(number, future.result))
                )

        def work_if_latest() -> T | None:
            return work() if number == self._latest else None

        self._executor.submit(work_if_latest).add_done_callback(on_done)

    def cancel(self) -> None:
        """Discard the result of the task that is running, if any."""
        self._latest += 1

    def _finish(self, number: int, result: Callable[[], T | None]) -> None:
        if number != self._latest:
            return
        with batched_updates():
            self._report(result)

    def _report(self, result: Callable[[], T | None]) -> None:
        try:
            value = result()
        except (GSM3Error, OSError) as error:
            self._on_error(str(error))
            return
        except Exception as error:  # noqa: BLE001  # otherwise the progress bar would stay forever
            _log.exception("A background task failed.")
            self._on_error(
                f"Unexpected error in GSM3 ({type(error).__name__}: {error}). See the server log for details."
            )
            return
        self._on_result(value)  # type: ignore[arg-type]  # None only for a task that was superseded


def run_after_render(action: Callable[[], None]) -> None:
    """Change the current session's page once it is rendered; without a session (script, test) at once."""
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        action()
        return

    def batched_action() -> None:
        with batched_updates():
            action()

    call_after_first_render(document, batched_action)
