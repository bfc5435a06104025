import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import journal
from state.chain import unrelated
from state.errors import Damaged, StateError, UnknownFormat
from state.records import Applied, Begin, End, Genesis, Imported, Intent
from state.snapshot import LINE_ENDS_REMEDY
from state.values import Address

A = Address("source.a")
GENESIS = Genesis("the-lineage", 1, "t")
RECORDS = (
    GENESIS,
    Begin("plan", "who", "host", "0.1", "c0ffee", "t"),
    Intent(A, "PATCH", "a", {}, {"description": "an @ and a space"}, "t"),
    Applied(A, 200, {"description": "an @ and a space", "tags": ["é", "\ud800"], "team": None}, {}, 3, "t"),
    End("ok", "t"),
)
PATH = "x.journal.jsonl"


def lines_of(records, head=None):
    lines, head = [], head or journal.anchor(GENESIS.lineage)
    for record in records:
        line, head = journal.encode(record, head)
        lines.append(line)
    return lines


LINES = lines_of(RECORDS)
RAW = b"".join(LINES)


def verify_as_a_stranger(raw: bytes) -> list[object]:
    """The docstring of `state.chain` in other words, without any code of statform."""
    records, head = [], b""
    for line in raw.split(b"\n")[:-1]:
        assert (line[:9], line[73:84], line[-1:]) == (b'{"hash":"', b'","record":', b"}")
        record = json.loads(line[84:-1])
        if not records:
            lineage = b"statform/1\n" + record["lineage"].encode()
            head = hashlib.sha256(lineage).hexdigest().encode()
        head, before = line[9:73], head
        assert head.decode() == hashlib.sha256(before + b"\n" + line[84:-1]).hexdigest()
        records.append(record)
    return records


def test_a_stranger_can_verify_a_journal_by_the_specification():
    assert [r["kind"] for r in verify_as_a_stranger(RAW)] == ["genesis", "begin", "intent", "result", "end"]


def test_each_byte_of_a_line_is_as_the_specification_says():
    body = b'{"at":"t","kind":"end","status":"ok"}'
    digest = hashlib.sha256(b"00" * 32 + b"\n" + body).hexdigest()
    line, head = journal.encode(End("ok", "t"), "00" * 32)
    assert line == b'{"hash":"%s","record":%s}\n' % (digest.encode(), body)
    assert head == digest


def test_encoded_records_are_decoded_with_the_places_of_their_lines():
    genesis, chain = journal.verify_all(RAW, PATH)
    assert (genesis, chain.lines, chain.torn, chain.end) == (GENESIS, RAW, b"", len(RAW))
    offsets, records = zip(*journal.decode(chain.lines, PATH), strict=True)
    assert records == RECORDS
    assert offsets == tuple(len(b"".join(LINES[:n])) for n in range(len(LINES)))
    assert tuple(journal.read_backwards(chain.lines, PATH)) == RECORDS[::-1]


json_objects = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
).map(lambda value: {"value": value})


@given(json_objects)
def test_any_json_that_an_api_may_answer_survives_encoding(data):
    line, _ = journal.encode(Imported(A, data, "t"), "0" * 64)
    assert line.isascii()
    assert line.count(b"\n") == 1
    ((_, record),) = journal.decode(line, PATH)
    assert record == Imported(A, data, "t")


@pytest.mark.parametrize("data", [{"a": float("nan")}, {"a": float("inf")}, {"a": {1, 2}}, {1: 2, "a": 3}])
def test_a_value_that_json_can_not_hold_is_refused_before_it_is_written(data):
    with pytest.raises(ValueError, match="JSON"):
        journal.encode(Imported(A, data, "t"), "0" * 64)


def test_data_nested_too_deeply_is_refused_before_it_is_written():
    data = {}
    for _ in range(100_000):
        data = {"a": data}
    with pytest.raises(ValueError, match="JSON"):
        journal.encode(Imported(A, data, "t"), "0" * 64)


def test_every_cut_after_the_genesis_leaves_a_prefix_of_the_records():
    for length in range(len(LINES[0]), len(RAW)):
        _, chain = journal.verify_all(RAW[:length], PATH)
        whole = RAW[:length].count(b"\n")
        assert chain.lines == b"".join(LINES[:whole])
        assert chain.torn == RAW[len(chain.lines) : length]


def test_a_cut_genesis_is_damage_because_it_was_whole_before_the_file_got_its_name():
    for length in range(len(LINES[0])):
        with pytest.raises(Damaged):
            journal.verify_all(RAW[:length], PATH)


@pytest.mark.parametrize("raw", [RAW, b"".join(LINES[:3])], ids=["ends with the end", "ends with an intent"])
def test_every_flipped_bit_is_refused(raw):
    for at in range(len(raw)):
        for bit in range(8):
            with pytest.raises(StateError):
                journal.verify_all(raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :], PATH)


@pytest.mark.parametrize(
    "tail",
    [
        LINES[4][:-1],
        LINES[4][:1],
        bytes(len(LINES[4])),
        bytes(5000),
        LINES[4][:20] + bytes(len(LINES[4]) - 20),
        bytes(20) + LINES[4][20:],
        LINES[4][:-2] + bytes(2),
    ],
    ids=["no newline", "one byte", "all zeros", "pages of zeros", "zeros after", "zeros before", "zeros at the end"],
)
def test_a_write_that_a_crash_cut_short_is_torn(tail):
    _, chain = journal.verify_all(b"".join(LINES[:4]) + tail, PATH)
    assert (chain.lines, chain.torn) == (b"".join(LINES[:4]), tail)


@pytest.mark.parametrize(
    ("lines", "bad"),
    [
        ([0, 1, 3, 4], 2),
        ([0, 2, 1, 3, 4], 1),
        ([0, 1, 1, 2, 3, 4], 2),
        ([0, 0, 1, 2, 3, 4], 1),
        ([0, 1, 2, 4], 3),
    ],
    ids=["one is missing", "two changed places", "one is there twice", "two genesis", "the last but one is missing"],
)
def test_lines_in_a_wrong_order_are_damage_at_the_first_wrong_one(lines, bad):
    with pytest.raises(Damaged) as raised:
        journal.verify_all(b"".join(LINES[n] for n in lines), PATH)
    assert raised.value.offset == sum(len(LINES[n]) for n in lines[:bad])
    assert "Restore" in str(raised.value)


def test_torn_bytes_with_a_line_after_them_are_damage():
    for torn in (bytes(100), LINES[3][:50], LINES[3][:50] + bytes(50) + b"\n"):
        for more in (LINES[4], LINES[4][:1]):
            with pytest.raises(Damaged):
                journal.verify_all(b"".join(LINES[:3]) + torn + b"\n" + more, PATH)


def test_a_last_line_of_another_history_is_damage():
    with pytest.raises(Damaged):
        journal.verify_all(b"".join(LINES[:4]) + lines_of([End("failed", "t")])[0], PATH)


def test_a_journal_of_another_lineage_does_not_verify():
    other = journal.encode(Genesis("another", 1, "t"), journal.anchor(GENESIS.lineage))[0]
    with pytest.raises(Damaged):
        journal.verify_all(other, PATH)


@pytest.mark.parametrize("raw", [b"", bytes(4096), b"\n", b"[]\n", b"x" * 200 + b"\n"])
def test_a_journal_that_does_not_begin_with_a_genesis_is_damage(raw):
    with pytest.raises(Damaged) as raised:
        journal.verify_all(raw, PATH)
    assert raised.value.offset == 0


def test_a_journal_that_begins_with_another_record_is_damage():
    with pytest.raises(Damaged):
        journal.verify_all(b"".join(lines_of(RECORDS[1:])), PATH)


def test_the_conflict_markers_of_a_merge_have_their_own_message():
    for at in (0, 2):
        raw = b"".join(LINES[:at]) + b"<<<<<<< HEAD\n" + LINES[2] + b"=======\n>>>>>>> theirs\n"
        with pytest.raises(Damaged, match="git merge"):
            journal.verify_all(raw, PATH)


def test_line_ends_that_a_checkout_changed_have_their_own_message_and_place():
    with pytest.raises(Damaged) as raised:
        journal.verify_all(LINES[0] + b"".join(LINES[1:]).replace(b"\n", b"\r\n"), PATH)
    what = f"{PATH}, byte {len(LINES[0])}: its line ends are CR LF, which statform never writes\n"
    assert str(raised.value) == what + LINE_ENDS_REMEDY
    # The wrong line is the first one, and its own line end is right.
    with pytest.raises(Damaged, match="does not follow from"):
        journal.verify_all(LINES[0] + b"x\n" + LINES[1].replace(b"\n", b"\r\n"), PATH)


def test_a_state_that_was_not_made_from_the_journal_is_named_without_its_folder():
    assert str(unrelated("a/b/x.json", PATH, 7)).startswith(f"{PATH}, byte 7: x.json was not made from this journal")


def test_a_newer_format_is_named():
    newer = b"".join(lines_of([Genesis("the-lineage", 3, "t")]))
    with pytest.raises(UnknownFormat, match="format 3"):
        journal.verify_all(newer, PATH)


@pytest.mark.parametrize(
    "body", [b'{"kind":"surrender"}', b'{"at":"t","kind":"end","more":1,"status":"ok"}', b"[1]", b"x"]
)
def test_a_whole_line_with_an_unknown_record_is_an_unknown_format(body):
    digest = hashlib.sha256(LINES[0][9:73] + b"\n" + body).hexdigest().encode()
    raw = LINES[0] + b'{"hash":"%s","record":%s}\n' % (digest, body)
    _, chain = journal.verify_all(raw, PATH)
    with pytest.raises(UnknownFormat, match=f"byte {len(LINES[0])}"):
        list(journal.decode(chain.lines, PATH))


def test_a_tail_is_verified_from_the_hash_before_it():
    start = len(b"".join(LINES[:2]))
    head = journal.hash_before(RAW, start)
    assert journal.verify(RAW[start:], head, PATH, start).end == len(RAW)
    with pytest.raises(Damaged) as raised:
        journal.verify(RAW[start:], "0" * 64, PATH, start)
    assert raised.value.offset == start


def test_the_hash_before_an_offset_is_that_of_the_line_that_ends_there():
    ends = [len(b"".join(LINES[:n])) for n in range(1, len(LINES) + 1)]
    for at in range(len(RAW) + 2):
        expected = LINES[ends.index(at)][9:73].decode() if at in ends else None
        assert journal.hash_before(RAW, at) == expected
    assert journal.hash_before(RAW[-50:], 50) is None


def test_the_hash_before_an_offset_is_found_if_one_byte_before_its_line_is_there():
    start, end = len(LINES[0]) - 1, len(LINES[0] + LINES[1])
    assert journal.hash_before(RAW[start:], end - start) == LINES[1][9:73].decode()


def test_a_damaged_hash_before_an_offset_is_another_hash_and_not_an_error():
    damaged = LINES[0][:9] + b"\xe9" + LINES[0][10:]
    assert journal.hash_before(damaged, len(damaged)) not in {None, LINES[0][9:73].decode()}


def whole_line(body: bytes, after: bytes) -> bytes:
    digest = hashlib.sha256(after + b"\n" + body).hexdigest().encode()
    return b'{"hash":"%s","record":%s}\n' % (digest, body)


RESTORE = "Restore the journal and the state file beside it, both from the same commit or backup."
BROKEN = "this line does not follow from the one before it: one was changed or removed"
NEWER = "Use the statform that wrote it, or a newer one."
SURRENDER = LINES[0] + whole_line(b'{"kind":"surrender"}', LINES[0][9:73])


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", f"{PATH}, byte 0: no complete line; statform never leaves it like that\n{RESTORE}"),
        (
            b"x\n",
            f"{PATH}, byte 0: {BROKEN}\n{RESTORE}",
        ),
        (
            LINES[0] + LINES[2],
            f"{PATH}, byte {len(LINES[0])}: {BROKEN}\n{RESTORE}",
        ),
        (
            b"".join(lines_of([Genesis("the-lineage", 3, "t")])),
            f"{PATH}: format 3; this statform knows format 2\n{NEWER}",
        ),
        (
            SURRENDER,
            f"{PATH}: a record of an unknown kind, at byte {len(LINES[0])}; "
            f"this statform knows the records of format 2\n{NEWER}",
        ),
    ],
    ids=["empty", "no journal", "a line is missing", "a newer format", "a newer record"],
)
def test_a_journal_that_can_not_be_read_says_where_and_what_to_do(raw, message):
    with pytest.raises(StateError) as raised:
        list(journal.decode(journal.verify_all(raw, PATH)[1].lines, PATH))
    assert str(raised.value) == message


def test_reading_backwards_names_the_right_byte_of_an_unknown_record():
    backwards = journal.read_backwards(SURRENDER, PATH)
    with pytest.raises(UnknownFormat, match=f"{PATH}: .* at byte {len(LINES[0])};"):
        next(backwards)


@pytest.mark.parametrize("marker", [b"<<<<<<< HEAD\n", b"=======\n", b">>>>>>> theirs\n"])
def test_each_conflict_marker_of_a_merge_is_recognised(marker):
    with pytest.raises(Damaged) as raised:
        journal.verify_all(LINES[0] + marker, PATH)
    what, remedy = str(raised.value).splitlines()
    assert what == f"{PATH}, byte {len(LINES[0])}: the conflict markers of a git merge"
    assert "take both files, the state and its journal, from one side" in remedy


def test_a_record_that_json_can_not_hold_is_named():
    with pytest.raises(ValueError, match=r"^a import that JSON can't hold: ."):
        journal.encode(Imported(A, {"a": {1}}, "t"), "0" * 64)


def test_entries_are_the_records_with_their_hashes_wherever_the_chain_begins():
    start = len(LINES[0])
    chain = journal.verify(RAW[start:], journal.hash_before(RAW, start), PATH, start)
    assert list(journal.entries(chain)) == [
        (line[9:73].decode(), record) for line, record in zip(LINES[1:], RECORDS[1:], strict=True)
    ]


@pytest.mark.parametrize("torn", [b"{", b"\0", LINES[4][:84], LINES[4][:-2]])
def test_the_chain_knows_its_file_and_where_it_ends(torn):
    start = len(LINES[0])
    chain = journal.verify(RAW[start:] + torn, journal.hash_before(RAW, start), PATH, start)
    assert (chain.path, chain.offset, chain.end) == (PATH, start, len(RAW))
    assert (chain.head, chain.torn) == (LINES[-1][9:73].decode(), torn)


def test_an_unknown_entry_is_named_with_its_file():
    chain = journal.verify_all(SURRENDER, PATH)[1]
    with pytest.raises(UnknownFormat, match=f"^{PATH}: .* at byte {len(LINES[0])};"):
        list(journal.entries(chain))


def test_a_chain_tells_how_many_records_it_has_and_the_hash_of_each():
    start = len(LINES[0])
    chain = journal.verify(RAW[start:], journal.hash_before(RAW, start), PATH, start)
    assert list(chain.hashes()) == [line[9:73].decode() for line in LINES[1:]]
    assert chain.record_count == len(LINES) - 1
