"""Small pure parts: mirrors, shown URLs, Debian's control data and versions, go.sum, git trees, differences."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.errors import UsageError
from pkgtool.inputs.architectures import debian_architecture
from pkgtool.inputs.artifact import shown_url
from pkgtool.inputs.debian.control import dependencies, format_stanza, is_newer, provided, stanzas
from pkgtool.inputs.git_source import standard_url
from pkgtool.inputs.git_tree import Entry, parse_listing, write_tar
from pkgtool.inputs.go_source import GoProxies
from pkgtool.inputs.go_sum import escaped, hash_mod, matches_prefix, parse_sums
from pkgtool.inputs.lock import Archive, Content, Deb, DebianLock, DebianRequest, Lock, LockedFile
from pkgtool.inputs.lock_diff import changes, render
from pkgtool.inputs.mirrors import Mirrors, mirrors
from pkgtool.inputs.signature import compression_signed_without
from pkgtool.inputs.transfer import retry_after
from pkgtool.model import FileInput
from pkgtool.values import Digest, Platform

# -- mirrors and URLs -----------------------------------------------------------------------------------


def test_the_longest_prefix_decides_and_may_have_several_places() -> None:
    rules = Mirrors((("https://a/", "https://m/"), ("https://a/b/", "file:///b/"), ("https://a/b/", "https://n/")))
    assert rules.places("https://a/x") == ("https://m/x",)
    assert rules.places("https://a/b/x") == ("file:///b/x", "https://n/x")
    assert rules.places("https://other/x") == ("https://other/x",)
    assert rules.places("git+https://a/x#1") == ("git+https://m/x#1",)
    assert rules.all_places(["https://a/x", "https://m/x"]) == ("https://m/x",)


def test_the_variable_comes_before_the_settings() -> None:
    rules = mirrors(
        [("https://a/", "https://settings/"), ("https://b/", "https://b2/")], "https://a/=https://variable/"
    )
    assert rules.places("https://a/x") == ("https://variable/x",)
    assert rules.places("https://b/x") == ("https://b2/x",)


@pytest.mark.parametrize("variable", ["https://a/", "=x", "x="])
def test_a_variable_that_can_not_be_read(variable: str) -> None:
    with pytest.raises(UsageError, match="PKGTOOL_MIRRORS holds a word without"):
        mirrors((), variable)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h/x?y=1", "https://h/x?y=1"),
        ("https://h/x?a=1&api_token=zzz&b=2", "https://h/x?a=1&api_token=…&b=2"),
        ("git+https://u:p@h/x#abc", "git+https://h/x#abc"),
        ("file:///x", "file:///x"),
        ("http://[bad/x", "(not a URL)"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_retry_after() -> None:
    assert retry_after("120") == 120
    assert retry_after("") is None
    assert retry_after("soon") is None
    assert retry_after("-1") is None
    soon = retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert soon is not None
    assert 50 < soon <= 60
    assert retry_after("Sat, 12 Sep 2020 07:55:41 GMT") == 0


# -- Debian ---------------------------------------------------------------------------------------------

ORDER = (
    "0~~ 0~ 0 0-1~ 0-1 0-1+b1 0-1.1 0-10 0.1~rc1 0.1 0.1+dfsg 0.9 0.10 1.0~rc1-1 1.0 1.0-1~deb12u1 1.0-1 1.0a 1.0+ 1:0"
).split()


def test_versions_are_in_debians_order() -> None:
    for position, older in enumerate(ORDER):
        assert not is_newer(older, older)
        for newer in ORDER[position + 1 :]:
            assert is_newer(newer, older), (newer, older)
            assert not is_newer(older, newer), (newer, older)
    assert not is_newer("1.0-0", "1.0")
    assert not is_newer("0:1.0", "1.0")
    assert not is_newer("01.0", "1.0")


@given(*[st.from_regex(r"[0-9][0-9a-z.+~-]{0,6}", fullmatch=True)] * 3)
def test_the_order_of_versions_is_an_order(a: str, b: str, c: str) -> None:
    assert not (is_newer(a, b) and is_newer(b, a))
    if is_newer(a, b) and is_newer(b, c):
        assert is_newer(a, c)


def test_control_data() -> None:
    text = "Package: a\nDescription: one\n two\n .\n\n\nPackage: b\nDepends: c (>= 1:2) | d:any, e [amd64] <!nocheck>\n"
    first, second = stanzas(text)
    assert format_stanza(first) == "Package: a\nDescription: one\n two\n .\n"
    assert list(dependencies(second)) == [("c", "d"), ("e",)]
    assert provided({"Provides": "x (= 1), y"}) == ("x", "y")


@pytest.mark.parametrize(
    ("platform", "expected"),
    [("amd64", "amd64"), ("linux/arm/v7", "armhf"), ("linux/arm/v6", "armel"), ("ppc64le", "ppc64el"), ("386", "i386")],
)
def test_platforms_in_debians_words(platform: str, expected: str) -> None:
    assert debian_architecture(Platform.parse(platform)) == expected


# -- Go -------------------------------------------------------------------------------------------------


def test_the_hash_of_a_go_mod_is_what_the_go_command_writes(tmp_path: Path) -> None:
    # From go.sum of many projects: github.com/pkg/errors v0.9.1 has the go.mod that its go.sum line stands for.
    (tmp_path / "go.mod").write_bytes(b"module github.com/pkg/errors\n")
    assert hash_mod(tmp_path / "go.mod") == "h1:bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0="


def test_lines_of_a_go_sum() -> None:
    zipped, mod = parse_sums(b"a.b/C v1.0.0 h1:x=\n\na.b/C v1.0.0/go.mod h1:y=\n", "go.sum")
    assert (zipped.module, zipped.version, zipped.mod, mod.mod) == ("a.b/C", "v1.0.0", False, True)
    assert escaped("a.b/CdE") == "a.b/!cd!e"


def test_where_modules_are_looked_for() -> None:
    proxies = GoProxies.of({"GOPROXY": "https://a/, file:///b|direct,off,https://never", "GOPRIVATE": "*.corp,h/x"})
    assert proxies.urls("m.io/A", "v1.0.0", "zip") == (
        "https://a/m.io/!a/@v/v1.0.0.zip",
        "file:///b/m.io/!a/@v/v1.0.0.zip",
        "go+direct:m.io/A@v1.0.0?zip",
    )
    assert proxies.urls("git.corp/x", "v1.0.0", "mod") == ("go+direct:git.corp/x@v1.0.0?mod",)
    assert GoProxies.of({"GOPROXY": "off"}).urls("m", "v1.0.0", "mod") == ()
    assert GoProxies.of({}).urls("m", "v1.0.0", "mod")[0] == "https://proxy.golang.org/m/@v/v1.0.0.mod"


@pytest.mark.parametrize(
    ("patterns", "module", "expected"),
    [
        ("a.io/x", "a.io/x/y", True),
        ("a.io/x", "a.io/xy", False),
        ("*.io", "a.io/z", True),
        ("a.io/x/y", "a.io/x", False),
        ("", "a.io", False),
        ("b,a.io/", "a.io/x", True),
    ],
)
def test_private_modules(patterns: str, module: str, expected: bool) -> None:
    assert matches_prefix(patterns, module) is expected


# -- git ------------------------------------------------------------------------------------------------


def listing(*names: bytes, mode: bytes = b"100644") -> bytes:
    return b"".join(mode + b" blob " + b"1" * 40 + b"\t" + name + b"\0" for name in names)


@pytest.mark.parametrize(
    "names",
    [
        [b"../x"],
        [b"a/../x"],
        [b".git/config"],
        [b"a/.GIT/x"],
        [b"a//b"],
        [b"a", b"a/b"],
        [b"a", b"a"],
        [b"./a"],
        [b"/a"],
    ],
)
def test_trees_that_can_not_be_laid_out(names: list[bytes]) -> None:
    with pytest.raises(ValueError, match="the tree has"):
        parse_listing(listing(*names))


def test_a_tar_is_sorted_and_says_nothing_of_its_maker() -> None:
    content = b"x" * 1000
    entries = parse_listing(listing(b"b", b"a/c", "ü".encode(), b"\xff"))
    assert [entry.name for entry in entries] == [b"a/c", b"b", "ü".encode(), b"\xff"]
    buffer = io.BytesIO()
    write_tar([*entries, Entry(b"link", "120000", "2")], lambda: (len(content), io.BytesIO(content)), 5, buffer)
    with tarfile.open(fileobj=io.BytesIO(buffer.getvalue())) as archive:
        found = archive.getmembers()
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in found} == {(0, 0, "", "", 5)}
    assert found[-1].linkname == content.decode()


def test_submodules_are_left_out() -> None:
    assert parse_listing(listing(b"sub", mode=b"160000")) == ()


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://h/x", "https://h/x"), ("git@h:a/b.git", "ssh://git@h/a/b.git"), ("/srv/x", "file:///srv/x")],
)
def test_urls_that_git_takes(url: str, expected: str) -> None:
    assert standard_url(url) == expected


@pytest.mark.parametrize(
    ("url", "signature", "expected"),
    [
        ("https://h/linux-6.12.tar.xz", "https://h/linux-6.12.tar.sign", ".xz"),
        ("https://h/x.tar.gz", "https://h/x.tar.asc", ".gz"),
        ("https://h/x.tar.xz", "https://h/x.tar.xz.sig", ""),
        ("https://h/x.tar.xz?a=1", "https://other/x.tar.sign", ".xz"),
    ],
)
def test_which_bytes_a_signature_covers(url: str, signature: str, expected: str) -> None:
    assert compression_signed_without(url, signature) == expected


# -- differences ----------------------------------------------------------------------------------------


def content(text: str) -> Content:
    return Content(Digest.of(text.encode()), 1)


def locked(*debs: tuple[str, str, str], files: tuple[LockedFile, ...] = ()) -> Lock:
    request = DebianRequest((("debian", "trixie"),), ("main",), (), "", ("amd64", "arm64"))
    archive = Archive("debian", "trixie", datetime(2026, 1, 1, tzinfo=UTC), Digest.of(b""))
    found = tuple(
        Deb(name, arch, version, (arch,), "debian", f"pool/{name}.deb", content(name + version))
        for name, version, arch in debs
    )
    return Lock(debian=DebianLock(request, (archive,), found), files=files)


def test_a_difference_has_versions_and_architectures() -> None:
    old = locked(("libc", "1", "amd64"), ("libc", "1", "arm64"), ("gone", "1", "amd64"), ("same", "1", "amd64"))
    new = locked(("libc", "2", "amd64"), ("libc", "2", "arm64"), ("new", "1", "arm64"), ("same", "1", "amd64"))
    assert render(changes(old, new)) == (
        "Debian packages:\n  - gone 1 (amd64)\n  ~ libc 1 → 2 (amd64, arm64)\n  + new 1 (arm64)"
    )
    assert changes(new, new) == ()
    assert render(()) == ""


def test_other_bytes_under_the_same_name_are_seen() -> None:
    file = LockedFile(FileInput("f", "http://h/f"), content("one"))
    other = replace(file, content=content("two"))
    [change] = changes(locked(files=(file,)), locked(files=(other,)))
    one, two = content("one").digest.short, content("two").digest.short
    assert str(change) == f"~ f http://h/f [{one}] → http://h/f [{two}]"
