"""Kernels among a tree's packages: what moves their tags, and what `why` says of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pkgtool.errors import ExitCode
from pkgtool.oci.documents import Descriptor
from pkgtool.release import ReleasedPackage
from pkgtool.values import Digest
from tests.support.command_line import CommandLine
from tests.support.kernel import ROOT, expired_key_pair, openssl_key_pair
from tests.support.tree import TreeBuilder

CERTIFICATE = "kernel/certs/modules.pem"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> list[bytes]:
    place = tmp_path_factory.mktemp("certificates")
    return [openssl_key_pair(place, name).certificate.read_bytes() for name in ("first", "second")]


@pytest.fixture
def tree(tmp_path: Path, certificates: list[bytes]) -> TreeBuilder:
    builder = TreeBuilder(tmp_path / "tree").init()
    shutil.copytree(ROOT / "kernel", builder.root / "kernel", ignore=shutil.ignore_patterns("__pycache__"))
    builder.package("kernel-build")
    builder.package("getty")
    builder.write("pkgtool.yml", f"org: acme\nkernels: {{certificate: {CERTIFICATE}}}\n")
    builder.write(CERTIFICATE, certificates[0])
    builder.commit()
    return builder


@pytest.fixture
def pkgtool(tree: TreeBuilder, tmp_path: Path) -> CommandLine:
    return CommandLine(tree.root, tmp_path / "store")


def test_kernels_are_packages_by_name(pkgtool):
    signed, unsigned = pkgtool("show-tag", "kernel-4.9", "kernel-4.9-unsigned").ok().out.split()
    assert signed.startswith("acme/kernel:4.9.337-")
    assert unsigned.startswith("acme/kernel:4.9.337-")
    assert unsigned.endswith("-unsigned")
    assert "kernel-4.9" not in pkgtool("list").ok().out, "only those asked for are made"


def test_options_stand_anywhere(pkgtool):
    listed = [pkgtool("kernel", *words).ok().json for words in (("list", "--json", "6.1"), ("--json", "list", "6.1"))]
    assert listed[0] == listed[1]
    assert [series["series"] for series in listed[0]] == ["6.1"]


@pytest.mark.parametrize(
    ("name", "repository", "tag", "expected"),
    [
        ("kernel-6.1", "acme/kernel", f"6.1.192-{'a' * 40}", "6.1.192-v1"),
        ("kernel-6.1-debug-unsigned", "acme/kernel", f"6.1.192-dbg-{'a' * 40}-unsigned", "6.1.192-dbg-v1-unsigned"),
        ("getty", "acme/getty", "a" * 40, "v1"),
        ("getty", "getty", f"edge-{'a' * 40}", "v1"),
    ],
)
def test_a_release_tells_kernels_of_one_repository_apart(name, repository, tag, expected):
    index = Descriptor("application/vnd.oci.image.index.v1+json", Digest.of(b""), 0)
    assert ReleasedPackage(name, repository, tag, index, 0, ()).tag_in("v1") == expected


def test_a_package_can_stand_on_a_kernel(tree, pkgtool):
    tree.package("module", "depends: {packages: [kernel-6.1]}\n", dockerfile="ARG KERNEL_6_1_IMAGE\nFROM scratch\n")
    tree.commit()
    edges = {e["from"]: e["to"] for e in pkgtool("graph", "--json", "module").ok().json["edges"]}
    assert edges["module"] == "kernel-6.1"
    assert edges["kernel-6.1"] == "kernel-6.1-unsigned"
    assert edges["kernel-6.1-unsigned"] == "kernel-build"


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        (CERTIFICATE, None, "build argument KERNEL_CERTIFICATE"),
        ("kernel/config/tg3.config", "CONFIG_TIGON3=m\n", "file config/tg3.config: changed"),
        ("pkg/kernel-build/content", "another compiler\n", "tool kernel-build"),
        ("kernel/build/build.sh", "exit 1\n", "file build.sh: changed"),
    ],
)
def test_what_determines_a_kernel_moves_both_tags_and_why_names_it(
    tree, pkgtool, certificates, path, content, expected
):
    names = ("kernel-6.1", "kernel-6.1-unsigned")
    before = pkgtool("show-tag", *names).ok().out.split()
    tree.write(path, certificates[1] if content is None else content)
    tree.commit()
    after = pkgtool("show-tag", *names).ok().out.split()
    assert all(old != new for old, new in zip(before, after, strict=True))
    for name in names:
        said = pkgtool("why", name, "--against", "HEAD~1").ok().out
        assert expected in said, said


@pytest.mark.parametrize(
    "path", ["kernel/series/4.9.yml", "kernel/config/debug.config", "kernel/hardening.yml", "pkg/getty/content"]
)
def test_what_does_not_determine_a_kernel_moves_nothing(tree, pkgtool, path):
    before = pkgtool("show-tag", "kernel-6.1").ok().out
    place = tree.root / path
    place.write_text(place.read_text() + "\n# a remark\n")
    tree.commit()
    assert pkgtool("show-tag", "kernel-6.1").ok().out == before


def test_what_is_for_progress_alone_moves_nothing(tree, pkgtool):
    before = pkgtool("show-tag", "kernel-6.1").ok().out
    place = tree.root / "kernel/series/6.1.yml"
    place.write_text(place.read_text().replace("objects: {plain: 2700}", "objects: {plain: 1}"))
    tree.commit()
    assert pkgtool("show-tag", "kernel-6.1").ok().out == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("show-tag", "kernel-5.10"), "there is no series '5.10'"),
        (("show-tag", "kernel-6.1-huge"), "series 6.1 has no variant 'huge'"),
        (("show-tag", "kernel-6.1.1"), "6.1.1 is not pinned in series 6.1"),
        (("kernel", "build", "six"), "'six' is not a kernel series"),
        (("kernel", "build", "6.1-debug", "--variant", "small"), "contradict each other"),
        (("kernel", "list", "5.10"), "there is no series 5.10"),
        (("kernel", "verify", "6.1"), "the store has no kernel-6.1"),
        (("kernel", "config"), "'kernel config' needs a series"),
        (("kernel", "config", "6.1", "--diff", "none"), "neither a kernel series nor a .config file"),
        (("kernel", "config", "6.1", "--tree", "."), "is no kernel source"),
    ],
)
def test_mistakes_have_an_answer(pkgtool, arguments, expected):
    ended = pkgtool(*arguments)
    assert ended.code not in (ExitCode.OK, ExitCode.INTERNAL)
    assert expected in ended.err
    assert "hint:" in ended.err


def test_a_missing_certificate_of_the_tree_is_told(tree, pkgtool):
    (tree.root / CERTIFICATE).unlink()
    ended = pkgtool("show-tag", "kernel-6.1")
    assert ended.code == ExitCode.CONFIGURATION
    assert f"there is no certificate {CERTIFICATE}" in ended.err
    assert pkgtool("show-tag", "getty").code == ExitCode.OK, "nobody else needs it"


def test_a_tree_without_the_compilers_package_says_so(tree, pkgtool):
    shutil.rmtree(tree.root / "pkg/kernel-build")
    ended = pkgtool("show-tag", "kernel-6.1")
    assert ended.code == ExitCode.CONFIGURATION
    assert "is built with the package 'kernel-build'" in ended.err


def test_keys_are_looked_at_before_anything_is_built(tree, pkgtool, tmp_path):
    other = openssl_key_pair(tmp_path, "other")
    locked = openssl_key_pair(tmp_path, "locked", "-passout", "pass:right", nodes=False)
    expired = expired_key_pair(tmp_path)
    wrong = tmp_path / "wrong"
    wrong.write_text("a guess\n")
    mistakes = {
        "no key is named": (),
        "is not the key of the certificate 'first'": ("--key", str(other.key)),
        "can't be read": ("--key", str(tmp_path / "absent.key")),
        "the passphrase of": (
            *("--key", str(locked.key), "--certificate", str(locked.certificate)),
            *("--key-password-file", str(wrong)),
        ),
        "expired on 2020-01-02": ("--key", str(expired.key), "--certificate", str(expired.certificate)),
    }
    for expected, options in mistakes.items():
        ended = pkgtool("kernel", "build", "6.1", *options)
        assert ended.code == ExitCode.KERNEL, (expected, ended.err)
        assert expected in ended.err
        assert "build kernel" not in ended.err, "no step was begun"
        assert "a guess" not in ended.err


def test_without_a_certificate_a_checkout_has_a_development_key_that_push_refuses_to_sign(tree, pkgtool):
    tree.write("pkgtool.yml", "org: acme\n")
    tree.commit()
    first = pkgtool("show-tag", "kernel-6.1").ok().out
    assert pkgtool("show-tag", "kernel-6.1").ok().out == first
    assert tree.git("status", "--porcelain") == "", "the key is not offered to git"
    key = tree.root / ".pkgtool/kernel/development-key.pem"
    assert key.stat().st_mode & 0o077 == 0
    ended = pkgtool("push", "--sign", "--key", "absent.key", "--registry", "localhost:1", "kernel-6.1")
    assert "which nobody vouches for" in ended.err
    assert "--allow-development-keys" in ended.err
