import attrs
import pytest

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
    from_json,
    to_json,
    when,
)
from state.values import Address

A = Address("source.a")
ONE_OF_EACH = [
    Genesis("lineage", 1, "t"),
    Begin("plan", "who", "host", "0.1", None, "t"),
    Intent(A, "PATCH", "a", {}, {"tags": ["x"]}, "t"),
    Applied(A, 200, {"name": "a"}, {"isVerified": True}, 3, "t"),
    Deleted(A, 200, {"name": "a"}, 3, "t"),
    Rejected(A, None, "no connection", True, 1.5, 3, "t"),
    Unknown(A, "timeout", 3, "t"),
    Resolved(A, "superseded", None, {}, "t"),
    Imported(A, {"name": "a"}, "t"),
    Refreshed(A, None, {}, "t"),
    Moved(A, Address("source.b"), "t"),
    Forgotten(A, "t"),
    Sealed("s3://acme/wh", "t"),
    End("ok", "t"),
]


@pytest.mark.parametrize("record", ONE_OF_EACH, ids=lambda r: r.kind)
def test_a_record_survives_the_way_to_json_and_back(record):
    assert from_json(to_json(record)) == record


def test_every_kind_is_tested_and_has_its_own_name():
    assert len({record.kind for record in ONE_OF_EACH}) == len(ONE_OF_EACH)


@pytest.mark.parametrize("value", [None, [], "end", {}, {"kind": 1}, {"kind": ["end"]}, {"kind": "surrender"}])
def test_json_that_is_not_a_record_is_refused(value):
    with pytest.raises(ValueError, match="unknown kind"):
        from_json(value)


@pytest.mark.parametrize("record", ONE_OF_EACH, ids=lambda r: r.kind)
def test_a_record_with_an_unknown_a_missing_or_a_mistyped_field_is_refused(record):
    value = to_json(record)
    for field in attrs.fields(type(record)):
        left_out = {k: v for k, v in value.items() if k != field.name}
        if field.default is attrs.NOTHING:
            with pytest.raises(ValueError, match="unknown fields"):
                from_json(left_out)
        else:
            # As in a record of format 1.
            assert from_json(left_out) == record
        with pytest.raises(ValueError, match=f"{field.name!r} has a wrong type"):
            from_json(value | {field.name: [1]})
    with pytest.raises(ValueError, match="unknown fields"):
        from_json(value | {"since": "0.2"})


def test_a_time_is_shown_to_people_in_seconds():
    assert when("2026-11-27T18:07:04.917Z") == "2026-11-27 18:07:04Z"
