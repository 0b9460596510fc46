"""Members of gzip: the same bytes whatever compresses them, one file to every reader."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pkgtool.oci.canonical.compression import uncompressed
from pkgtool.oci.canonical.gzip_members import MEMBER, GzipMembers
from tests.support import compressed_sample as sample


def test_the_bytes_are_those_of_the_image_format() -> None:
    assert sample.digest() == sample.DIGEST


@pytest.mark.parametrize("processors", [1, 2, 64])
def test_the_number_of_threads_makes_no_difference(processors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    assert sample.digest() == sample.DIGEST


@pytest.mark.parametrize("at_once", [1, 3, 17])
def test_the_pieces_make_no_difference(at_once: int) -> None:
    data = sample.content()
    assert sample.compressed(data, at_once=at_once) == sample.compressed(data)


def test_layers_that_are_written_at_once_are_what_they_are_alone() -> None:
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(lambda _: sample.digest(), range(8))) == {sample.DIGEST}


def test_every_reader_takes_the_members_for_one_file() -> None:
    data = sample.content()
    packed = sample.compressed(data)
    assert packed.count(b"\x1f\x8b\x08\0\0\0\0\0\x04\xff") == -(-len(data) // MEMBER) == 17
    assert gzip.decompress(packed) == data
    with uncompressed(io.BufferedReader(io.BytesIO(packed)), what="it") as ours:  # type: ignore[arg-type]
        assert ours.read() == data
    assert subprocess.run(["gzip", "-dc"], input=packed, stdout=subprocess.PIPE, check=True).stdout == data


def test_an_error_of_writing_is_raised_and_no_thread_stays() -> None:
    before = threading.active_count()

    def full(_: bytes) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        _put(full, [bytes(MEMBER)] * 100)
    assert threading.active_count() == before


def test_nothing_more_is_written_after_an_error_of_whoever_puts() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"some"
        raise EOFError

    written: list[bytes] = []
    with pytest.raises(EOFError):
        _put(written.append, pieces())
    assert not written


def _put(write: Callable[[bytes], None], pieces: Iterable[bytes]) -> None:
    with GzipMembers(write) as members:
        for piece in pieces:
            members.put(piece)
