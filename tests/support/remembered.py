"""What the state computes of nothing but its arguments, computed once for the same ones.

For tests that come to the same bytes thousands of times: all that has to do with a disk, a store or a clock is done
each time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest

from state import chain, journal
from state.snapshot import Snapshot, decode_snapshot, encode_snapshot

_PURE = (chain.verify, journal.verify_all, journal.parse, decode_snapshot, encode_snapshot)


@contextmanager
def remembering() -> Iterator[None]:
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "state"]
    with pytest.MonkeyPatch.context() as patch:
        for pure in _PURE:
            remembered = _remembered(pure)
            for module in modules:
                if getattr(module, pure.__name__, None) is pure:
                    patch.setattr(module, pure.__name__, remembered)
        yield


def _remembered(pure: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[object, Any] = {}

    @wraps(pure)
    def remembered(*arguments: Any) -> Any:
        # A snapshot has mappings, and no hash.
        key = repr(arguments) if isinstance(arguments[0], Snapshot) else arguments
        if key not in known:
            known[key] = pure(*arguments)
        return known[key]

    return remembered
