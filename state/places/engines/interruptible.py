"""Calls a library that handles no signal while it waits, so that Ctrl-C still ends the command at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

__all__ = ["interruptible"]

_T = TypeVar("_T")


def interruptible(call: Callable[[], _T]) -> _T:
    """What the call returns or raises. The main thread lets another thread make it, and can be interrupted meanwhile.

    After an interrupt, nobody knows what became of the call. Its thread does not keep the process alive.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    answer: Future[_T] = Future()

    def make() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is for who waits
            answer.set_exception(error)

    threading.Thread(target=make, daemon=True).start()
    # The system may give the signal to another thread, which does not end a wait of this one: so wait in short steps.
    while not answer.done():
        wait([answer], timeout=0.2)
    return answer.result()
