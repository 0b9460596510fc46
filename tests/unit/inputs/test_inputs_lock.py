"""The lock's text: what is written is read back, and whatever is read never ends in a traceback."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgtool.errors import ConfigError, PkgtoolError, Problems
from pkgtool.inputs.lock import (
    Archive,
    Content,
    Deb,
    DebianLock,
    DebianRequest,
    GoLock,
    GoModule,
    Lock,
    LockedFile,
    LockedGit,
)
from pkgtool.inputs.lock_reader import lock_date, parse_lock, read_lock
from pkgtool.inputs.lock_writer import format_lock, write_lock
from pkgtool.model import FileInput, GitInput
from pkgtool.values import Digest

digests = st.binary(min_size=1, max_size=8).map(Digest.of)
contents = st.builds(Content, digests, st.integers(0, 10**15))
dates = st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
words = st.from_regex(r"[a-z0-9][a-z0-9+.-]{0,12}", fullmatch=True)
versions = st.from_regex(r"([0-9]{1,2}:)?[0-9][0-9A-Za-z.+~-]{0,12}", fullmatch=True)
urls = st.from_regex(r"(https?|file)://[a-z.]{1,10}/[ -~]{0,20}", fullmatch=True).map(
    lambda url: url.replace(" ", "%20")
)
file_names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,20}", fullmatch=True)
architectures = st.sampled_from([("amd64",), ("amd64", "arm64"), ("amd64", "arm64", "riscv64")])


@st.composite
def debian_locks(draw: st.DrawFn) -> DebianLock:
    archs = draw(architectures)
    archives = (
        Archive("debian", draw(words), draw(dates), draw(digests)),
        Archive("debian@20260101T000000Z", draw(words), draw(dates), draw(digests)),
    )
    debs = []
    for name in draw(st.lists(words, unique=True, max_size=5)):
        arch = draw(st.sampled_from(["all", *archs]))
        wanted = archs if arch == "all" and draw(st.booleans()) else (archs[0],) if arch == "all" else (arch,)
        archive = draw(st.sampled_from(archives)).name
        debs.append(Deb(name, arch, draw(versions), wanted, archive, f"pool/{name}.deb", draw(contents)))
    request = DebianRequest(
        suites=(("debian", archives[0].suite),),
        components=("main", "non-free-firmware"),
        packages=tuple(sorted(draw(st.sets(words, max_size=4)))),
        variant=draw(st.sampled_from(["", "essential", "apt"])),
        architectures=archs,
        parents=tuple(draw(st.dictionaries(words, digests, max_size=2)).items()),
    )
    return DebianLock(request, archives, tuple(sorted(debs)))


files = st.builds(
    LockedFile,
    st.builds(
        FileInput,
        file_names,
        urls,
        st.lists(urls, max_size=2).map(tuple),
        st.one_of(st.just(""), digests.map(lambda digest: digest.hex)),
        st.one_of(st.just(""), urls),
        st.sampled_from(["", "keys/upstream.gpg"]),
    ),
    contents,
    st.one_of(st.none(), dates),
)
repositories = st.builds(
    LockedGit,
    st.builds(GitInput, file_names, urls, st.sampled_from(["main", "v1.0", "a" * 40])),
    digests.map(lambda digest: digest.hex[:40]),
    contents,
    st.one_of(st.none(), dates),
)
modules = st.builds(
    GoModule,
    st.from_regex(r"[a-z]{1,8}\.[a-z]{2}/[A-Za-z0-9-]{1,8}", fullmatch=True),
    st.from_regex(r"v[0-9]\.[0-9]\.[0-9](-[0-9a-z.]{1,8})?(\+incompatible)?", fullmatch=True),
    contents,
    st.one_of(st.none(), contents),
)


def sorted_unique(items, key):  # type: ignore[no-untyped-def]
    return st.lists(items, max_size=3, unique_by=key).map(lambda found: tuple(sorted(found, key=key)))


locks = st.builds(
    Lock,
    st.one_of(st.none(), dates),
    st.one_of(st.none(), debian_locks()),
    sorted_unique(files, lambda file: file.request.name),
    sorted_unique(repositories, lambda git: git.request.name),
    st.one_of(
        st.none(),
        st.builds(
            GoLock,
            st.dictionaries(st.sampled_from(["go.sum", "cmd/go.sum"]), digests, min_size=1).map(
                lambda sums: tuple(sorted(sums.items()))
            ),
            sorted_unique(modules, lambda module: (module.module, module.version)),
        ),
    ),
)


@settings(max_examples=40)
@given(locks)
def test_what_is_written_is_read_back(lock: Lock) -> None:
    text = format_lock(lock)
    assert parse_lock(text.encode(), "inputs.lock") == lock
    assert format_lock(parse_lock(text.encode(), "inputs.lock")) == text
    assert lock_date(text.encode()) == lock.date


@settings(max_examples=40)
@given(locks)
def test_other_readers_see_text_and_numbers_as_they_are_meant(lock: Lock) -> None:
    import yaml

    document = yaml.safe_load(format_lock(lock))
    for deb in (document.get("debian") or {}).get("debs") or ():
        assert isinstance(deb["version"], str)
        assert isinstance(deb["size"], int)


def parsed_or_refused(content: bytes) -> None:
    try:
        parse_lock(content, "inputs.lock")
    except PkgtoolError as error:
        for problem in error.problems if isinstance(error, Problems) else (error,):
            assert isinstance(problem, ConfigError)
            assert problem.location is not None
            assert problem.location.file == "inputs.lock"


@given(st.binary(max_size=200))
def test_random_bytes_never_end_in_a_traceback(content: bytes) -> None:
    parsed_or_refused(content)


@settings(max_examples=40)
@given(locks, st.data())
def test_damaged_locks_never_end_in_a_traceback(lock: Lock, data: st.DataObject) -> None:
    text = bytearray(format_lock(lock).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text) - 1))
        text[start : start + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
    parsed_or_refused(bytes(text))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[" * 100_000, b"a: &a [*a]", b"\0", b"--- 1\n--- 2", b"- x", b"? [1]\n: 2", b"x", b"{}"],
)
def test_what_is_no_lock_is_refused(content: bytes) -> None:
    with pytest.raises(PkgtoolError):
        parse_lock(content, "inputs.lock")


WRONG = b"""\
format: 1
date: yesterday
datee: 2026-09-12T07:55:41Z
debian:
  components: [main]
  names: [apt]
  names: [dpkg]
  architectures: [amd64]
  archives:
    - {name: debian, suite: trixie, date: 2026-09-12T07:55:41Z}
  debs:
    - {name: a, version: "1", arch: mips, size: -1, sha256: 12, path: ../x.deb}
    - {name: b, version: "1", arch: all, size: 1, sha256: 12, path: pool/x, archive: other}
files:
  - name: a/b
    url: nowhere
    size: 1
    sha256: 0000000000000000000000000000000000000000000000000000000000000000
    extra: [1]
go:
  sums: go.sum
  modules: [x]
"""


def test_every_problem_has_its_place() -> None:
    with pytest.raises(Problems) as caught:
        parse_lock(WRONG, "pkg/x/inputs.lock")
    found = [(str(problem.location), problem.message) for problem in caught.value.problems]
    assert found == [
        ("pkg/x/inputs.lock:2:7", "date: 'yesterday' is not a time such as 2026-09-12T07:55:41Z"),
        ("pkg/x/inputs.lock:3:1", "unknown name datee"),
        ("pkg/x/inputs.lock:7:3", "names is there twice, first in line 6"),
        ("pkg/x/inputs.lock:10:7", "archives: inrelease missing"),
        ("pkg/x/inputs.lock:12:37", "arch: mips is not among the lock's architectures"),
        ("pkg/x/inputs.lock:12:49", "size: '-1' is not a number of bytes"),
        ("pkg/x/inputs.lock:12:61", "sha256: '12' is not 64 lower-case hexadecimal digits"),
        ("pkg/x/inputs.lock:12:71", "path: '../x.deb' leaves its directory"),
        ("pkg/x/inputs.lock:13:7", "debs: other is not among the lock's archives"),
        ("pkg/x/inputs.lock:13:59", "sha256: '12' is not 64 lower-case hexadecimal digits"),
        ("pkg/x/inputs.lock:13:69", "path: 'pool/x' is not the path of a .deb"),
        ("pkg/x/inputs.lock:15:11", "name: 'a/b' is not a plain file name"),
        ("pkg/x/inputs.lock:16:10", "url: 'nowhere' is not a URL"),
        ("pkg/x/inputs.lock:19:5", "unknown name extra"),
        ("pkg/x/inputs.lock:21:9", "sums: expected names with values"),
        ("pkg/x/inputs.lock:22:13", "modules: expected names with values"),
    ]
    assert caught.value.problems[1].hint == "did you mean date?"
    assert caught.value.problems[1].location is not None
    assert caught.value.problems[1].location.text == "datee: 2026-09-12T07:55:41Z"


def test_a_newer_format_is_named() -> None:
    with pytest.raises(ConfigError, match="reads format 1") as caught:
        parse_lock(b"format: 2\nnews: 1\n", "inputs.lock")
    assert caught.value.hint == "use the pkgtool that wrote it"


def test_packages_and_files_that_occur_twice() -> None:
    text = b"format: 1\nfiles:\n" + b"  - {name: a, url: http://x/, size: 1, sha256: %s}\n" % (b"0" * 64) * 2
    with pytest.raises(ConfigError, match="files: a is there twice") as caught:
        parse_lock(text, "inputs.lock")
    assert str(caught.value.location) == "inputs.lock:4:5"


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "inputs.lock"
    assert read_lock(path) is None
    write_lock(path, Lock())
    assert read_lock(path) == Lock()
    path.unlink()
    path.mkdir()
    with pytest.raises(PkgtoolError, match="the lock can't be read"):
        read_lock(path)


@pytest.mark.parametrize("path", ["../x.deb", "/x.deb", "a/../../x.deb", "a//x.deb", "./x.deb", "x/./y.deb"])
def test_no_path_of_a_lock_leaves_its_place(path: str) -> None:
    debian = f'{{components: [], names: [], architectures: [amd64], archives: [], debs: [{{path: "{path}"}}]}}'
    text = f"format: 1\ndebian: {debian}\n"
    with pytest.raises(Problems) as caught:
        parse_lock(text.encode(), "inputs.lock")
    assert any(problem.message.startswith("path: ") for problem in caught.value.problems)
