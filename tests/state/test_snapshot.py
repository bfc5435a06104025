import hashlib
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.errors import Damaged, UnknownFormat
from state.fold import Fold, replay
from state.records import (
    Applied,
    Begin,
    Deleted,
    End,
    Forgotten,
    Genesis,
    Imported,
    Intent,
    Moved,
    Refreshed,
    Rejected,
    Resolved,
    Sealed,
    Unknown,
)
from state.snapshot import EMPTY, ResourceState, Snapshot, StatsigProject, decode_snapshot, encode_snapshot
from state.values import Address

A, B = Address("source.a"), Address("source.b")
GENESIS = Genesis("lineage", 1, "t0")
INTENT = Intent(A, "PATCH", "old_name", {"tags": []}, {"tags": ["x"], "isVerified": True}, "t1")
PRIOR = ResourceState("old_name", {"name": "old_name", "tags": [], "size": 1}, {"isVerified": False, "hint": "h"}, "t0")
SMALL = Snapshot("lineage", 3, "ab" * 32, 1234, {B: PRIOR, A: PRIOR}, {A: INTENT})

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(), json_values, max_size=4)
resource_states = st.builds(ResourceState, st.text(), objects, objects, st.text(), objects)
snapshots = st.builds(
    Snapshot,
    st.text(min_size=1),
    st.integers(1),
    st.just("0f" * 32),
    st.integers(1),
    st.dictionaries(st.from_regex(r"[a-z_]{1,9}\.[A-Za-z0-9_-]{1,9}", fullmatch=True), resource_states, max_size=3),
    st.just({}) | st.just({A: INTENT}),
    st.builds(StatsigProject, st.none() | st.text(), st.none() | st.text()),
)


def with_digest(body: bytes) -> bytes:
    digest = hashlib.sha256(body).hexdigest()
    return body.replace(b'  "format": 2,\n', b'  "format": 2,\n  "digest": "%s",\n' % digest.encode(), 1)


def without_digest(raw: bytes) -> bytes:
    return b"".join(line for line in raw.splitlines(keepends=True) if not line.startswith(b'  "digest": '))


@given(snapshots)
def test_a_snapshot_survives_the_way_to_bytes_and_back(snapshot):
    assert decode_snapshot(encode_snapshot(snapshot), "x.json") == snapshot


@pytest.mark.parametrize("text", ["\ud800", "x\\\udfff", "é\u2028\x00\x7f", "\U0001f600", '"digest": "'])
def test_no_string_is_lost(text):
    snapshot = SMALL._replace(resources={A: ResourceState(text, {text: [text]}, {}, "t")})
    assert decode_snapshot(encode_snapshot(snapshot), "x.json") == snapshot


def test_a_text_in_any_script_is_readable_in_the_file():
    snapshot = SMALL._replace(resources={A: ResourceState("名前", {"description": "Straße 🙂"}, {}, "t")})
    assert '"名前"' in encode_snapshot(snapshot).decode()
    assert '"description": "Straße 🙂"' in encode_snapshot(snapshot).decode()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_not_written(value):
    with pytest.raises(ValueError, match="JSON"):
        encode_snapshot(SMALL._replace(resources={A: ResourceState("a", {"size": value}, {}, "t")}))


def test_the_digest_is_that_of_all_other_lines():
    raw = encode_snapshot(SMALL)
    assert json.loads(raw)["digest"] == hashlib.sha256(without_digest(raw)).hexdigest()


def test_the_file_is_sorted_by_address_and_field_whatever_the_order_of_the_input():
    turned = SMALL._replace(resources={a: PRIOR._replace(data=dict(reversed(PRIOR.data.items()))) for a in (A, B)})
    assert encode_snapshot(turned) == encode_snapshot(SMALL)
    document = json.loads(encode_snapshot(SMALL))
    assert list(document) == [
        "format", "digest", "lineage", "serial", "head", "journal_bytes", "project", "resources", "unresolved",
    ]  # fmt: skip
    assert list(document["resources"]) == [A, B]
    assert list(document["resources"][A]) == ["name", "data", "unreturned", "unconfirmed", "updated_at"]
    assert list(document["resources"][A]["data"]) == ["name", "size", "tags"]


def test_unresolved_is_written_only_if_there_is_an_unresolved_request():
    assert b"unresolved" not in encode_snapshot(SMALL._replace(unresolved={}))


def test_every_flipped_bit_is_refused():
    raw = encode_snapshot(SMALL)
    for at in range(len(raw)):
        for bit in range(8):
            flipped = raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]
            with pytest.raises((Damaged, UnknownFormat)):
                decode_snapshot(flipped, "x.json")


def test_every_truncation_is_refused():
    raw = encode_snapshot(SMALL)
    for length in range(len(raw)):
        with pytest.raises(Damaged):
            decode_snapshot(raw[:length], "x.json")


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "empty"),
        (bytes(4096), "NUL bytes"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"a": ', "not JSON, or cut off"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "not JSON that statform wrote"),
        (b'{"serial": %s}' % (b"9" * 5000), "not JSON that statform wrote"),
        (b'{"serial": NaN}', "not JSON that statform wrote"),
        (b"{}", "first lines"),
        (b"\xef\xbb\xbf" + encode_snapshot(SMALL), "first lines"),
        (encode_snapshot(SMALL).replace(b'"hint": "h"', b'"hint": "j"'), "digest"),
        (encode_snapshot(SMALL).replace(b'"format"', b'"Format"', 1), "first lines are not as"),
        (encode_snapshot(SMALL) + b"\n", "digest"),
    ],
)
def test_a_file_that_statform_did_not_write_is_refused_with_what_to_do(raw, what):
    with pytest.raises(Damaged, match=what) as raised:
        decode_snapshot(raw, "x.json")
    assert "statform state rebuild" in str(raised.value)


@pytest.mark.parametrize("element", [b"[],", b"{},", b'"ab",'])
def test_a_text_that_is_all_brackets_and_commas_is_refused_before_it_is_parsed(element):
    tracemalloc.start()
    try:
        with pytest.raises(Damaged, match="too many lists, objects and commas for its size"):
            decode_snapshot(b'{\n  "format": 2,\n  "x": [' + element * 2_000_000 + b"0]}", "x.json")
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_brackets_and_commas_in_strings_and_many_small_sources_are_accepted():
    sql = ResourceState("a", {"sql": "[],{}," * 500_000, "name": 'a"\\'}, {}, "t")
    small = {Address(f"source.s{n}"): ResourceState("", {"tags": [], "x": [{}, []]}, {}, "t") for n in range(20_000)}
    for resources in ({A: sql}, small):
        snapshot = SMALL._replace(resources=resources)
        assert decode_snapshot(encode_snapshot(snapshot), "x.json") == snapshot


def test_line_ends_that_git_changed_are_reported_first():
    """A rebuild would not help: git changed the line ends of the journal too."""
    with pytest.raises(Damaged, match=r"^x.json: its line ends are CR LF, which statform never writes\n") as raised:
        decode_snapshot(encode_snapshot(SMALL).replace(b"\n", b"\r\n"), "x.json")
    assert "core.autocrlf" in str(raised.value)
    assert "rebuild" not in str(raised.value)


@pytest.mark.parametrize("before", [b"", b"{\n"])
def test_the_conflict_markers_of_a_merge_have_their_own_message(before):
    raw = before + b"<<<<<<< HEAD\n  1\n=======\n  2\n>>>>>>> theirs\n"
    with pytest.raises(Damaged, match="git merge") as raised:
        decode_snapshot(raw, "x.json")
    assert raised.value.offset == len(before)


def test_the_offset_counts_bytes_not_characters():
    with pytest.raises(Damaged) as raised:
        decode_snapshot('{"é": x'.encode(), "x.json")
    assert raised.value.offset == 7


def test_a_newer_format_is_named_before_anything_else_is_checked():
    with pytest.raises(UnknownFormat, match="format 3"):
        decode_snapshot(b'{"format": 3, "all": "else is different"}', "x.json")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"serial": 3', b'"serial": true'),
        (b'"serial": 3', b'"serial": 0'),
        (b'"serial": 3', b'"serial": 3.0'),
        (b'"journal_bytes": 1234', b'"journal_bytes": -1'),
        (b'"lineage": "lineage"', b'"lineage": ""'),
        (b'"lineage": "lineage"', b'"lineage": null'),
        (b'"head": "ab', b'"head": "'),
        (b'"head": "ab', b'"head": "a\x7f'),
        (b'"resources": {', b'"resources": [], "x": {'),
        (b'"resources": {', b'"more": 1, "resources": {'),
        (b'"name": "old_name",\n      "data"', b'"name": null,\n      "data"'),
        (b'"updated_at": "t0"', b'"updated_at": "t0", "new": 1'),
        (b'"unreturned": {', b'"unreturned": [], "x": {'),
        (b'"kind": "intent"', b'"kind": "end"'),
        (b'"address": "source.a"', b'"address": "source.b"'),
        (b'"unresolved": {', b'"unresolved": 1, "x": {'),
    ],
)
def test_json_of_another_shape_is_refused_even_with_a_right_digest(old, new):
    body = without_digest(encode_snapshot(SMALL))
    assert old in body
    with pytest.raises(Damaged, match="not the shape of a state"):
        decode_snapshot(with_digest(body.replace(old, new, 1)), "x.json")


def test_a_plan_compares_with_the_data_and_with_the_values_that_it_did_not_return():
    assert PRIOR.values == {"name": "old_name", "tags": [], "size": 1, "isVerified": False, "hint": "h"}
    assert ResourceState("n", {"tags": ["a", "b"]}, {"tags": ["b", "a"]}, "t").values == {"tags": ["b", "a"]}


def test_a_snapshot_of_format_1_has_no_project_and_no_unconfirmed_values():
    body = without_digest(encode_snapshot(SMALL)).replace(b'"format": 2', b'"format": 1')
    body = body.replace(b'  "project": {\n    "id": null,\n    "base_url": null\n  },\n', b"")
    body = body.replace(b'      "unconfirmed": {},\n', b"").replace(b'      "deadline_s": null,\n', b"")
    assert b"project" not in body
    assert b"unconfirmed" not in body
    digest = b'  "digest": "%s",\n' % hashlib.sha256(body).hexdigest().encode()
    raw = body.replace(b'  "format": 1,\n', b'  "format": 1,\n' + digest, 1)
    assert decode_snapshot(raw, "x.json") == SMALL


@pytest.mark.parametrize("project", [b"[]", b'{"id": 1}', b'{"name": "x"}'])
def test_a_project_of_a_wrong_type_is_refused(project):
    body = without_digest(encode_snapshot(SMALL))
    raw = with_digest(body.replace(b'{\n    "id": null,\n    "base_url": null\n  }', project))
    with pytest.raises(Damaged, match="not the shape of a state") as raised:
        decode_snapshot(raw, "x.json")
    assert (": a project with a part of another type" in str(raised.value)) == (b": 1" in project)


def after(*records, base=None):
    start = EMPTY._replace(lineage="lineage", resources={A: PRIOR}) if base is None else base
    return replay(start, records)


def test_an_intent_is_unresolved_until_its_outcome_and_an_unknown_does_not_resolve_it():
    assert after(INTENT).unresolved == {A: INTENT}
    assert after(INTENT, Unknown(A, "timeout", 1, "t2")).unresolved == {A: INTENT}
    assert after(INTENT, Rejected(A, 400, "no", False, None, 1, "t2")) == after()
    assert after(INTENT, Resolved(A, "not applied", None, {}, "t2")) == after()


def test_the_answer_of_the_api_becomes_the_state_unchanged():
    data = {"name": "new_name", "tags": ["x"], "size": 1, "more": None}
    state = after(INTENT, Applied(A, 200, data, {"isVerified": True}, 1, "t2"))
    assert state.resources == {A: ResourceState("new_name", data, {"hint": "h", "isVerified": True}, "t2")}
    assert not state.unresolved


def test_the_name_comes_from_the_answer_or_else_from_the_body_or_else_from_the_url():
    for data, sent, name in (
        ({"name": "n1"}, {"name": "n2"}, "n1"),
        ({}, {"name": "n2"}, "n2"),
        ({"name": 1}, {}, "n3"),
    ):
        intent = Intent(A, "PATCH", "n3", {}, sent, "t1")
        assert after(intent, Applied(A, 200, data, {}, 1, "t2")).resources[A].name == name


def test_a_field_that_one_answer_leaves_out_is_known_from_the_one_before():
    later = after(INTENT, Applied(A, 200, {"name": "old_name", "tags": ["x"]}, {}, 1, "t2")).resources[A]
    assert later.unreturned == {"size": 1, "hint": "h"}


def test_an_unreturned_value_lasts_until_it_is_sent_again_or_the_answer_shows_another():
    data = {"name": "old_name", "tags": ["x"], "size": 1}
    resent = after(INTENT, Applied(A, 200, data, {}, 1, "t2")).resources[A]
    assert resent.unreturned == {"hint": "h"}
    shown = after(INTENT, Applied(A, 200, {**data, "hint": "other"}, {}, 1, "t2")).resources[A]
    assert shown.unreturned == {}
    cleared = after(INTENT, Applied(A, 200, {**data, "hint": None}, {}, 1, "t2")).resources[A]
    assert cleared.unreturned == {}


def test_a_tidied_value_counts_as_it_was_sent_while_the_answers_show_the_same_form():
    prior = ResourceState("a", {"name": "a", "description": "tidy"}, {"description": " Tidy"}, "t0")
    base = EMPTY._replace(lineage="lineage", resources={A: prior})
    for shown, unreturned in (("tidy", {"description": " Tidy"}), ("theirs", {})):
        data = {"name": "a", "description": shown, "tags": ["x"]}
        assert after(INTENT, Applied(A, 200, data, {}, 1, "t2"), base=base).resources[A].unreturned == unreturned


def test_what_is_known_of_fields_that_a_full_update_does_not_change_stays_known():
    """The answer leaves the hint out, as before: to send it once more changes nothing."""
    data = {"name": "old_name", "tags": ["x"]}
    sent = {"tags": ["x"], "hint": "h"}
    for method, before, known in (
        ("POST", {"tags": [], "hint": "h"}, {"isVerified": False, "hint": "h"}),
        ("POST", {"tags": [], "hint": "other"}, {"isVerified": False}),
        ("POST", {"tags": []}, {"isVerified": False}),
        ("PATCH", {"tags": [], "hint": "h"}, {"isVerified": False}),
    ):
        intent = Intent(A, method, "old_name", before, sent, "t1")
        state = after(intent, Applied(A, 200, data, {}, 1, "t2")).resources[A]
        assert {name: state.unreturned.get(name) for name in known} == known
        assert ("hint" in state.unreturned) == ("hint" in known)
    cleared = Intent(A, "POST", "old_name", {"tags": []}, {"tags": ["x"], "hint": None}, "t1")
    assert "hint" not in after(cleared, Applied(A, 200, data, {}, 1, "t2")).resources[A].unreturned


def test_a_resolution_as_applied_is_as_if_the_answer_had_come():
    data = {"name": "old_name", "tags": ["x"]}
    resolved = after(INTENT, Resolved(A, "applied", data, {"isVerified": True}, "t2"))
    assert resolved == after(INTENT, Applied(A, 200, data, {"isVerified": True}, 1, "t2"))


def test_a_superseded_change_takes_the_remote_as_the_truth():
    taken = after(INTENT, Resolved(A, "superseded", {"name": "theirs"}, {}, "t2"))
    assert taken.resources == {A: ResourceState("theirs", {"name": "theirs"}, {}, "t2")}
    assert after(INTENT, Resolved(A, "superseded", None, {}, "t2")) == after()
    nameless = after(INTENT, Resolved(A, "superseded", {"tags": ["theirs"]}, {}, "t2"))
    assert nameless.resources == {A: ResourceState("old_name", {"tags": ["theirs"]}, {}, "t2")}


TIMED = Intent(A, "PATCH", "old_name", {"tags": []}, {"tags": ["x"]}, "t1", 60)


def test_a_change_that_was_not_sent_is_unconfirmed_with_the_value_before_it():
    data = {"name": "theirs", "tags": ["x"], "size": 2, "more": 1}
    first = after(TIMED, Applied(A, 200, data, {}, 1, "t2"))
    assert first.resources[A].unconfirmed == {"name": "old_name", "size": 1}
    # After one more change by somebody else, the value before is still the one that a plan has shown.
    again = after(TIMED, Applied(A, 200, {**data, "size": 3}, {}, 1, "t3"), base=first)
    assert again.resources[A].unconfirmed == {"name": "old_name", "size": 1}
    back = after(TIMED, Applied(A, 200, {**data, "size": 1}, {}, 1, "t3"), base=first)
    assert back.resources[A].unconfirmed == {"name": "old_name"}
    left_out = after(TIMED, Applied(A, 200, {"name": "old_name", "tags": ["x"]}, {}, 1, "t3"), base=first)
    assert left_out.resources[A].unconfirmed == {"size": 1}


def test_a_value_before_that_was_null_is_kept_while_answers_leave_the_field_out():
    prior = ResourceState("old_name", {"name": "old_name", "tags": [], "team": None}, {}, "t0")
    first = after(
        TIMED,
        Applied(A, 200, {"name": "old_name", "tags": ["x"], "team": "theirs"}, {}, 1, "t2"),
        base=EMPTY._replace(lineage="lineage", resources={A: prior}),
    )
    assert first.resources[A].unconfirmed == {"team": None}
    left_out = after(TIMED, Applied(A, 200, {"name": "old_name", "tags": ["x"]}, {}, 1, "t3"), base=first)
    assert left_out.resources[A].unconfirmed == {"team": None}


def test_a_field_that_is_returned_for_the_first_time_as_it_was_sent_is_nobodys_change():
    found = after(TIMED, Applied(A, 200, {"name": "old_name", "tags": ["x"], "hint": "h"}, {}, 1, "t2"))
    assert found.resources[A].unconfirmed == {}


def test_a_field_that_is_returned_for_the_first_time_tidied_is_nobodys_change():
    prior = ResourceState("old_name", {"name": "old_name", "tags": []}, {"hint": " H "}, "t0")
    base = EMPTY._replace(lineage="lineage", resources={A: prior})
    data, known = {"name": "old_name", "tags": ["x"], "hint": "H"}, {"hint": " H "}
    found = after(TIMED, Applied(A, 200, data, known, 1, "t2"), base=base)
    assert (found.resources[A].unconfirmed, found.resources[A].values["hint"]) == ({}, " H ")
    lost = after(TIMED, Resolved(A, "superseded", {**data, "tags": ["y"]}, known, "t2"), base=base)
    assert lost.resources[A].unconfirmed == {"tags": []}


def test_a_request_with_the_field_an_import_or_a_refresh_confirms_a_change():
    changed = after(TIMED, Applied(A, 200, {"name": "old_name", "tags": ["x"], "size": 2}, {}, 1, "t2"))
    assert changed.resources[A].unconfirmed == {"size": 1}
    sends = Intent(A, "PATCH", "old_name", {"size": 2}, {"size": 1}, "t3", 60)
    data = {"name": "old_name", "tags": ["x"], "size": 1}
    for records in (
        (sends, Applied(A, 200, data, {}, 1, "t4")),
        (Imported(A, data, "t4"),),
        (Refreshed(A, {**data, "size": 2}, {}, "t4"),),
    ):
        assert after(*records, base=changed).resources[A].unconfirmed == {}
    assert after(Moved(A, B, "t4"), base=changed).resources[B].unconfirmed == {"size": 1}


def test_a_value_in_the_same_tidied_form_as_before_is_nobodys_change():
    prior = ResourceState("a", {"name": "a", "description": "tidy"}, {"description": " Tidy", "hint": "h"}, "t0")
    base = EMPTY._replace(lineage="lineage", resources={A: prior})
    for shown, unconfirmed in (("tidy", {}), ("theirs", {"description": " Tidy"})):
        data = {"name": "a", "description": shown, "tags": ["x"]}
        assert after(TIMED, Applied(A, 200, data, {}, 1, "t2"), base=base).resources[A].unconfirmed == unconfirmed
    found = after(TIMED, Applied(A, 200, {"name": "a", "description": "tidy", "hint": "j"}, {}, 1, "t2"), base=base)
    assert found.resources[A].unconfirmed == {"hint": "h"}


def test_after_a_superseded_request_all_changes_are_unconfirmed_except_its_own():
    intent = Intent(A, "PATCH", "old_name", {"tags": [], "size": 1}, {"tags": ["x"], "size": 5}, "t1", 60)
    data = {"name": "old_name", "tags": ["x"], "size": 2}
    assert after(intent, Resolved(A, "superseded", data, {}, "t2")).resources[A].unconfirmed == {"size": 1}
    # A field that was known and not sent counts too.
    assert after(TIMED, Resolved(A, "superseded", data, {}, "t2")).resources[A].unconfirmed == {"size": 1}
    adopted = EMPTY._replace(lineage="lineage")
    found = after(intent, Resolved(A, "superseded", data, {}, "t2"), base=adopted).resources[A]
    assert found.unconfirmed == {"size": 1}


def test_a_request_of_format_1_leaves_nothing_unconfirmed():
    data = {"name": "old_name", "tags": ["theirs"], "size": 2}
    for outcome in (Applied(A, 200, data, {}, 1, "t2"), Resolved(A, "superseded", data, {}, "t2")):
        assert after(INTENT, outcome).resources[A].unconfirmed == {}


DELETE = Intent(A, "DELETE", "old_name", {}, {}, "t1", 60)


def test_a_deleted_source_leaves_the_state():
    for outcome in (Deleted(A, 200, {"name": "old_name"}, 1, "t2"), Resolved(A, "applied", None, {}, "t2")):
        state = after(DELETE, outcome)
        assert (state.resources, state.unresolved) == ({}, {})
    assert after(DELETE, Resolved(A, "not applied", None, {}, "t2")).resources == {A: PRIOR}
    # Somebody may have removed the address from the state while the outcome was unknown.
    unknown = after(DELETE, base=EMPTY._replace(lineage="lineage"))
    assert after(Deleted(A, 200, {}, 1, "t2"), base=unknown).resources == {}


def test_a_run_records_the_project_and_a_run_that_does_not_know_it_keeps_the_old_one():
    begin = Begin("plan", "who", "host", "0.1", None, "t", project="p1", base_url="https://a")
    unknown = Begin(None, "who", "host", "0.1", None, "t", base_url="https://b")
    assert after(begin).project == StatsigProject("p1", "https://a")
    assert after(begin, unknown).project == StatsigProject("p1", "https://b")


def test_no_record_can_follow_in_a_state_that_moved():
    sealed = after(Sealed("s3://acme/wh", "t"))
    assert sealed.sealed == "s3://acme/wh"
    with pytest.raises(ValueError, match="a end after the state moved to s3:"):
        after(End("ok", "t"), base=sealed)


def test_an_import_adds_an_address_and_a_forget_removes_it():
    assert after(Imported(B, {"name": "b"}, "t2")).resources[B] == ResourceState("b", {"name": "b"}, {}, "t2")
    assert after(Imported(A, {"tags": []}, "t2")).resources[A] == ResourceState("a", {"tags": []}, {}, "t2")
    assert after(Forgotten(A, "t2")).resources == {}


def test_a_refresh_takes_the_remote_as_it_is_and_drops_a_source_that_is_gone():
    data = {"name": "renamed", "tags": ["theirs"]}
    taken = after(Refreshed(A, data, {"isVerified": True}, "t2"))
    assert taken.resources == {A: ResourceState("renamed", data, {"isVerified": True}, "t2")}
    assert after(Refreshed(A, {"tags": []}, {}, "t2")).resources[A].name == "old_name"
    assert after(Refreshed(A, None, {}, "t2")).resources == {}


def test_a_move_takes_all_that_is_known_to_the_other_address():
    assert after(Moved(A, B, "t2")).resources == {B: PRIOR}


def test_the_serial_counts_the_runs_that_ended():
    begin = Begin("plan", "who", "host", "0.1", None, "t")
    assert after(GENESIS, begin, End("ok", "t"), begin, End("recovered", "t"), base=EMPTY).serial == 2


@pytest.mark.parametrize(
    "records",
    [
        [End("ok", "t")],
        [GENESIS, GENESIS],
        [GENESIS, INTENT, INTENT],
        [GENESIS, Applied(A, 200, {}, {}, 1, "t")],
        [GENESIS, Rejected(A, 400, "", False, None, 1, "t")],
        [GENESIS, Unknown(A, "", 1, "t")],
        [GENESIS, Resolved(A, "not applied", None, {}, "t")],
        [GENESIS, INTENT, Resolved(A, "applied", None, {}, "t")],
        [GENESIS, DELETE, Resolved(A, "applied", {}, {}, "t")],
        [GENESIS, INTENT, Deleted(A, 200, {}, 1, "t")],
        [GENESIS, Deleted(A, 200, {}, 1, "t")],
        [GENESIS, INTENT, Resolved(A, "perhaps", None, {}, "t")],
        [GENESIS, Refreshed(A, {}, {}, "t")],
        [GENESIS, Moved(A, B, "t")],
        [GENESIS, Imported(A, {}, "t"), Imported(B, {}, "t"), Moved(A, B, "t")],
        [GENESIS, Imported(A, {}, "t"), INTENT, Moved(A, B, "t")],
    ],
)
def test_a_record_that_makes_no_sense_is_refused_and_changes_nothing(records):
    fold = Fold(EMPTY)
    for record in records[:-1]:
        fold.add(record)
    before = fold.snapshot("", 0)
    with pytest.raises(ValueError, match=r"genesis|intent|verdict|data|state"):
        fold.add(records[-1])
    assert fold.snapshot("", 0) == before


def test_a_replay_keeps_the_place_in_the_journal():
    assert replay(SMALL, [Unknown(A, "timeout", 1, "t2")]) == SMALL


def test_a_fold_tells_what_is_known_of_an_address_so_far():
    fold = Fold(SMALL)
    assert (fold.resource(A), fold.resource("source.c")) == (PRIOR, None)
    fold.add(Forgotten(A, "t"))
    assert fold.resource(A) is None


def test_a_replay_does_not_change_the_snapshot_that_it_starts_from():
    base = EMPTY._replace(lineage="lineage", resources={A: PRIOR})
    after(INTENT, Applied(A, 200, {}, {}, 1, "t2"), Imported(B, {}, "t3"), base=base)
    assert base == EMPTY._replace(lineage="lineage", resources={A: PRIOR})


REBUILD = (
    "If the journal beside it is intact, `statform state rebuild` makes this file again from it; "
    "else restore both from version control or a backup."
)
ONE_SIDE = (
    "A state has one history, so two can't be merged: take both files, the state and its journal, from one side "
    "(`git checkout --ours` or `--theirs`), then run `statform plan` to see what the other side changed."
)
GOOD = encode_snapshot(SMALL)


def reshaped(old: bytes, new: bytes) -> bytes:
    return with_digest(without_digest(GOOD).replace(old, new, 1))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", f"x.json: empty; statform never leaves it empty\n{REBUILD}"),
        (b"{\0 \0}", f"x.json, byte 1: NUL bytes, as a file system leaves them after a power failure\n{REBUILD}"),
        (b"{\n<<<<<<< a\n<<<<<<< b\n", f"x.json, byte 2: the conflict markers of a git merge\n{ONE_SIDE}"),
        (b"<<<<<<< a\n{", f"x.json, byte 0: the conflict markers of a git merge\n{ONE_SIDE}"),
        (b'{"a": ', f"x.json, byte 6: not JSON, or cut off: Expecting value\n{REBUILD}"),
        (b'{"a": NaN}', f"x.json: not JSON that statform wrote: NaN is not JSON\n{REBUILD}"),
        (b"[1]", f"x.json: not a JSON object\n{REBUILD}"),
        (b"{}", f"x.json: its first lines are not as statform writes them: edited, or reformatted\n{REBUILD}"),
        (
            GOOD.replace(b'"format": 2', b'"format":  2'),
            f"x.json: its first lines are not as statform writes them: edited, or reformatted\n{REBUILD}",
        ),
        (
            GOOD + b" ",
            "x.json: its digest does not match its bytes: it was edited or damaged, or its line ends were changed\n"
            + REBUILD,
        ),
        (
            reshaped(b'"journal_bytes": 1234', b'"journal_bytes": 0'),
            "x.json: not the shape of a state: lineage, serial, head or journal_bytes is not possible\n" + REBUILD,
        ),
        (
            reshaped(b'"serial": 3', b'"serial": "3"'),
            f"x.json: not the shape of a state: '3' instead of a int\n{REBUILD}",
        ),
        (
            reshaped(b'"unresolved": {', b'"more": 1, "unresolved": {'),
            "x.json: not the shape of a state: an unknown key among "
            f"format, digest, lineage, serial, head, journal_bytes, project, resources, more, unresolved\n{REBUILD}",
        ),
        (
            reshaped(b'"name": "old_name",\n      "data"', b'"data"'),
            f"x.json: not the shape of a state: a resource of data, unreturned, unconfirmed, updated_at\n{REBUILD}",
        ),
        (
            reshaped(b'"name": "old_name",\n      "data"', b'"name": 5,\n      "data"'),
            f"x.json: not the shape of a state: a resource with a part of another type, name 5\n{REBUILD}",
        ),
        (
            reshaped(b'"address": "source.a"', b'"address": "source.b"'),
            f"x.json: not the shape of a state: what is unresolved at source.a is not an intent for it\n{REBUILD}",
        ),
        (b'{"format": 3}', "x.json: format 3; this statform knows format 2\n"
            "Use the statform that wrote it, or a newer one."),
    ],
)  # fmt: skip
def test_each_refusal_says_where_and_what_to_do(raw, message):
    with pytest.raises((Damaged, UnknownFormat)) as raised:
        decode_snapshot(raw, "x.json")
    assert str(raised.value) == message


@pytest.mark.parametrize("least", [(b'"serial": 3', b'"serial": 1'), (b'"journal_bytes": 1234', b'"journal_bytes": 1')])
def test_the_least_possible_values_of_a_first_run_are_accepted(least):
    assert decode_snapshot(reshaped(*least), "x.json").lineage == "lineage"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([GENESIS], "a second genesis"),
        ([INTENT, INTENT], f"an intent for {A}, whose last intent has no outcome yet"),
        ([Applied(A, 200, {}, {}, 1, "t")], f"a result for {A} without an intent"),
        ([INTENT, Resolved(A, "perhaps", None, {}, "t")], "an unknown verdict 'perhaps'"),
        (
            [INTENT, Resolved(A, "applied", None, {}, "t")],
            "a change resolved as applied without data, or a delete with some",
        ),
        ([Refreshed(B, {}, {}, "t")], f"a refresh of {B}, which is not in the state"),
        ([INTENT, Moved(A, B, "t")], f"a move of {A}, whose last intent has no outcome yet"),
        ([Moved(B, A, "t")], f"a move from {B} to {A}, but the state must have only the first"),
        ([Moved(A, A, "t")], f"a move from {A} to {A}, but the state must have only the first"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused_with_the_reason(records, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        after(*records)
    assert str(raised.value) == message


def test_no_record_can_come_before_the_genesis():
    with pytest.raises(ValueError, match=r"^a end before the genesis$"):
        replay(EMPTY, [End("ok", "t")])


def test_what_somebody_changed_of_an_adoption_after_its_look_is_unconfirmed():
    asked = Intent(A, "PATCH", "a", {"description": "old", "team": "t", "name": "a"}, {"description": "new"}, "t1", 60)
    data = {"name": "a", "description": "new", "team": "theirs"}
    empty = EMPTY._replace(lineage="lineage")
    state = after(asked, Applied(A, 200, data, {}, 1, "t2"), base=empty).resources[A]
    assert (state.unconfirmed, state.name, state.updated_at) == ({"team": "t"}, "a", "t2")
    renamed = after(asked, Applied(A, 200, {**data, "name": "theirs"}, {}, 1, "t2"), base=empty).resources[A]
    assert renamed.unconfirmed == {"team": "t", "name": "a"}
    same = after(asked, Applied(A, 200, {**data, "team": "t"}, {}, 1, "t2"), base=empty).resources[A]
    assert (same.unconfirmed, same.unreturned) == ({}, {})
