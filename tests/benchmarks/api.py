"""The emulator with the sources of a file, which it does not keep up to date: to write it is no time of the API's.

api.py SOURCES
"""

import sys
from pathlib import Path

from planner.emulator.api import EmulatorOptions
from planner.emulator.data import load
from planner.emulator.server import serve

serve(EmulatorOptions(per_10_seconds=1_000_000, per_15_minutes=1_000_000, sources=load(Path(sys.argv[1]))[0]))
