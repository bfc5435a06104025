"""Signals that come where they end no call that blocks: they are heard all the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

# A signal that another thread gets is to the main thread like one that comes just before its call blocks: nothing
# wakes it. How often Python loses one so by itself depends on the machine: once in thousands of times, under load.
PROGRAM = """
import json, signal, socket, sys, threading, time
from planner.errors import Interrupted
from planner.signals import Interrupts

here, there = socket.socketpair()
pressed = []

def press():
    for number in map(int, sys.argv[2:]):
        time.sleep(0.3)
        pressed.append(time.monotonic())
        signal.pthread_kill(threading.get_ident(), number)
    time.sleep(5)
    there.send(b"x")

threading.Thread(target=press, daemon=True).start()
interrupts, ended = Interrupts(), "the call was over"
try:
    with interrupts.caught():
        if sys.argv[1] == "shielded":
            with interrupts.shield():
                here.recv(1)
        else:
            here.recv(1)
except Interrupted:
    ended = f"interrupted after {len(pressed)}"
late_s = time.monotonic() - pressed[-1]
print(json.dumps([ended, late_s, threading.active_count(), signal.set_wakeup_fd(-1), signal.getsignal(signal.SIGURG)]))
"""


@pytest.mark.parametrize(
    ("shielded", "numbers", "ended"),
    [
        ("bare", [signal.SIGINT], "interrupted after 1"),
        ("bare", [signal.SIGTERM], "interrupted after 1"),
        ("shielded", [signal.SIGINT, signal.SIGINT], "interrupted after 2"),
        ("shielded", [signal.SIGTERM, signal.SIGINT], "interrupted after 2"),
    ],
)
def test_a_signal_that_ends_no_call_is_heard_while_the_call_blocks(shielded, numbers, ended):
    program = [sys.executable, "-c", PROGRAM, shielded, *(str(int(number)) for number in numbers)]
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=30)
    found, late_s, threads, wakeup, handler = json.loads(done.stdout)
    assert found == ended, done.stderr
    assert late_s < 3
    # The one that presses is left.
    assert (threads, wakeup, handler) == (2, -1, signal.SIG_DFL)


def test_one_signal_is_never_taken_for_two():
    program = PROGRAM.replace("time.sleep(5)", "time.sleep(1)")
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, "shielded", str(int(signal.SIGINT))],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    ended, late_s, *_ = json.loads(done.stdout)
    # What is under way ends by itself, after a second, and only then is the run over.
    assert ended == "interrupted after 1"
    assert 1 <= late_s < time.monotonic() - started
