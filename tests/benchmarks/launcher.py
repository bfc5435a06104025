"""Runs one command and tells what it took, as JSON in the last argument but those of the command: FILE COMMAND...

A process of its own, and a small one: Linux hands the peak memory of the process that starts another one down to it.
"""

import json
import os
import sys
import time

report, *command = sys.argv[1:]
started = time.perf_counter()
pid = os.posix_spawn(command[0], command, os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.perf_counter() - started
with open(report, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is larger than what it would save
    cpu = usage.ru_utime + usage.ru_stime
    # In KiB on Linux, in bytes on macOS.
    peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    json.dump({"wall_s": wall, "cpu_s": cpu, "peak_mib": peak, "code": os.waitstatus_to_exitcode(status)}, file)
