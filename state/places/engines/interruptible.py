"""Calls a library that handles no signal while it waits, so that Ctrl-C still ends the command at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

__all__ = ["interruptible"]

_T = TypeVar("_T")


def interruptible(call: Callable[[], _T]) -> _T:
    """What the call returns or raises. The main thread lets another one make it: a wait for that can be interrupted.

    Who is interrupted does not know what became of the call; its thread keeps no process alive.
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
    # Another thread may get the signal, which does not end the wait of this one.
    while not answer.done():
        wait([answer], timeout=0.2)
    return answer.result()
