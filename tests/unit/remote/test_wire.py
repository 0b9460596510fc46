"""Protocol buffers, checked against the encoding's own examples, by round trip, and with rubbish."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.engines.buildkit.wire import Message, fields, message
from pkgtool.engines.buildkit_trace import TraceReader


def test_the_examples_of_the_specification() -> None:
    assert message((1, 150)) == bytes.fromhex("089601")
    assert message((2, "testing")) == bytes.fromhex("120774657374696e67")
    assert message((3, message((1, 150)))) == bytes.fromhex("1a03089601")


def test_zero_and_empty_values_are_left_out() -> None:
    assert message((1, 0), (2, ""), (3, b""), (4, {}), (5, [])) == b""


def test_absent_fields_read_as_zero_or_empty() -> None:
    empty = Message(b"")
    assert (empty.integer(1), empty.text(1), empty.repeated(1), empty.mapping(1)) == (0, "", [], {})
    assert empty.inner(1).integer(2) == 0
    assert not empty.has(1)


def test_empty_items_of_a_list_and_values_of_a_map_are_kept() -> None:
    read = Message(message((1, [b"", b"x"]), (2, {"no-cache": ""})))
    assert read.repeated(1) == [b"", b"x"]
    assert read.mapping(2) == {"no-cache": ""}


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        message((1, -1))


def test_fixed_width_fields_of_newer_peers_are_skipped() -> None:
    content = bytes((1 << 3 | 1, *range(8), 2 << 3 | 5, *range(4))) + message((3, "known"))
    assert Message(content).text(3) == "known"


@given(st.integers(0, 2**63), st.text(), st.binary(), st.dictionaries(st.text(), st.text()), st.lists(st.binary()))
def test_what_is_written_is_read(n: int, text: str, raw: bytes, mapping: dict[str, str], items: list[bytes]) -> None:
    read = Message(message((1, n), (2, text), (300, raw), (4, mapping), (5, items)))
    assert (read.integer(1), read.text(2), read.content(300)) == (n, text, raw)
    assert (read.mapping(4), read.repeated(5)) == (mapping, items)


@given(st.binary(max_size=60))
def test_rubbish_is_a_value_error_or_a_message(content: bytes) -> None:
    try:
        list(fields(content))
        list(TraceReader().lines(content))
    except ValueError:
        pass


@pytest.mark.parametrize("content", ["08", "0a05aa", "0b", "08ffffffffffffffffffffff01"])
def test_cut_off_and_unknown_encodings_are_refused(content: str) -> None:
    with pytest.raises(ValueError, match=r"no end|ends after|unknown wire type"):
        Message(bytes.fromhex(content))


def test_log_fragments_become_lines() -> None:
    trace = TraceReader()
    vertex = message((1, [message((1, "sha256:1"), (3, "[1/2] RUN it"))]))
    cached = message((1, [message((1, "sha256:2"), (3, "[2/2] COPY"), (4, 1))]))
    parts = [message((3, [message((1, "sha256:1"), (4, text))])) for text in ("on", "e\r\ntwo\nthr", "ee")]
    assert list(trace.lines(vertex)) == ["=> [1/2] RUN it"]
    assert [line for part in parts for line in trace.lines(part)] == ["one", "two"]
    assert list(trace.lines(cached)) == ["=> [2/2] COPY", "=> [2/2] COPY (cached)"]
    assert list(trace.rest()) == ["three"]
