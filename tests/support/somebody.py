"""Somebody else, who works in the console on the sources of the four changes while statform is at work."""

from __future__ import annotations

import json
from pathlib import Path

from attrs import define, field
from four_changes import APPLY, DESIRED, MADE, SOURCES, TYPE, intended, statform_later
from lossy import LossyApi
from three_changes import records, statform

from planner.emulator.sources import Source

HOWS = ("changes", "deletes", "renames")
_NAMES = {"made": ("made",), "full": ("full",), "named": ("renamed", "named"), "gone": ("gone",)}
"""What each of the four is called, in the order of the requests."""
_OUTCOMES = {"result", "deleted", "rejected", "resolved"}


@define
class Somebody:
    """`left` are the sources as they left them, by name; None where they took one away."""

    api: LossyApi
    how: str
    left: dict[str, Source | None] = field(factory=dict)

    def at(self, call: str) -> None:
        """What they do at the moment of that call."""
        name = call.rpartition("/")[2]
        self.do(next((key for key, names in _NAMES.items() if name in names), "made"))

    def do(self, key: str) -> None:
        name = next((name for name in _NAMES[key] if name in self.api.sources()), None)
        if name is None:
            self._make(key)
        elif self.how == "deletes":
            self._ask("DELETE", name)
            self.left[name] = None
        elif self.how == "renames":
            self._ask("PATCH", name, {"name": f"{key}_theirs"})
            self.left[name] = None
            self._leave(f"{key}_theirs")
        else:
            self._ask("PATCH", name, {"description": "theirs"})
            self._leave(name)

    def _make(self, key: str) -> None:
        """The very same one, another one of that name, or the same one by another name."""
        same = MADE if key == "made" else SOURCES[TYPE.name][key]
        other = {"changes": {"sql": "SELECT 'theirs'"}, "deletes": {}, "renames": {"name": f"{key}_theirs"}}[self.how]
        assert self.api.by_hand("POST", TYPE.create_path, {**same, **other}) == 201
        # Nobody could tell the very same one from what was to be deleted.
        if key == "made" or other:
            self._leave(str({**same, **other}["name"]))

    def _ask(self, method: str, name: str, body: Source | None = None) -> None:
        assert self.api.by_hand(method, TYPE.path.replace("{name}", name), body) == 200

    def _leave(self, name: str) -> None:
        self.left[name] = self.api.sources()[name]

    def do_the_next(self, directory: Path) -> None:
        """Something to the source of the request that has no outcome yet, or of the last one."""
        last = records(directory)
        begun = max(number for number, record in enumerate(last) if record["kind"] in {"begin", "genesis"})
        known = {record["address"] for record in last[begun:] if record["kind"] in _OUTCOMES}
        self.do(next((key for key in _NAMES if f"{TYPE.name}.{key}" not in known), "gone"))

    def check_once(self, directory: Path) -> None:
        """Until anybody agrees, what statform did has an intent, is of one source once, and deletes nothing unseen."""
        done = self.api.done
        assert {str((was or now or {})["name"]) for was, now in done} <= intended(directory)
        made = [now for was, now in done if was is None]
        assert {one["name"] for one in made if one} <= {"made"}
        assert len(made) <= 1 + ("made" in self.left and self.left["made"] is None), "created twice"
        seen = [record["before"] for record in records(directory) if record.get("method") == "DELETE"]
        assert all(was in seen for was, now in done if now is None), "deleted unseen"

    def check_kept(self) -> None:
        """What they left is so, as far as anybody could know of it; a create may come after its source went."""
        sources = self.api.sources()
        for name, source in self.left.items():
            assert sources.get(name) == source or (name == "made" and source is None), name

    def check_settled(self, directory: Path) -> None:
        """Later, nothing of theirs is undone; once that was agreed to, definitions, state and remote agree."""
        is_made = "made" in self.api.sources()
        _, output = statform_later(directory, self.api, *APPLY)
        assert "Traceback" not in output, output
        self.check_kept()
        self.check_once(directory)
        if not is_made and "made" in self.api.sources() and "made_theirs" in self.left:
            assert '"made_theirs"' in output, output
        self._agree(directory)
        code, output = statform_later(directory, self.api, *APPLY)
        assert code == 0, output
        self._check_agrees(directory)
        for words in (("plan", "--detailed-exitcode"), ("history", "--verify")):
            code, output = statform(directory, self.api, *words)
            assert code == 0, output

    def _agree(self, directory: Path) -> None:
        code, output = statform_later(directory, self.api, "refresh", "--auto-approve", "--allow-gone", "4")
        assert code == 0, output
        state = json.loads((directory / "statform.state.json").read_text())
        for key, names in _NAMES.items():
            name = next((name for name in (*names, f"{key}_theirs") if name in self.api.sources()), None)
            if key != "gone" and name is not None and f"{TYPE.name}.{key}" not in state["resources"]:
                code, output = statform_later(directory, self.api, "import", f"{TYPE.name}.{key}", name)
                assert code == 0, output

    def _check_agrees(self, directory: Path) -> None:
        sources = self.api.sources()
        # What was deleted they may make again, just as it was.
        again = {"gone"} if self.how == "deletes" else set()
        assert sources.keys() - self.left.keys() <= DESIRED.keys() | again
        for name, (sql, description) in DESIRED.items():
            # That of what is made is not declared.
            assert sources[name]["sql"] == sql
            assert name == "made" or sources[name]["description"] == description
        state = json.loads((directory / "statform.state.json").read_text())
        assert "unresolved" not in state
        assert {r["name"]: r["data"] for r in state["resources"].values()} == {n: sources[n] for n in DESIRED}
