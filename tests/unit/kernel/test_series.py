"""The series of this tree are sound, and a wrong file is told by line, without any kernel source."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from pkgtool.errors import KernelError, PkgtoolError, Problems
from pkgtool.kernel import config
from pkgtool.kernel.package import KernelName, Surroundings, kernel_packages
from pkgtool.kernel.series import read, read_all
from pkgtool.source.trees import WorkingTree
from pkgtool.values import Platform
from tests.support.kernel import ROOT

NAMES = ("4.4", "4.9", "4.11", "6.1", "6.12")
SERIES = read_all(WorkingTree(ROOT), NAMES)
BUILDS = [(s, v, p) for s in SERIES.values() for v in s.variants for p in s.platforms]
SMALL = KernelName("6.1", variant="small")


@pytest.fixture
def tree(tmp_path) -> WorkingTree:
    shutil.copytree(ROOT / "kernel", tmp_path / "kernel")
    return WorkingTree(tmp_path)


def edited(tree: WorkingTree, old: str, new: str) -> list[str]:
    """The problems of series 6.1 after an edit, as `LINE: message`."""
    path = Path(tree.root) / "kernel/series/6.1.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    series, problems = read(tree, "6.1")
    assert series is None
    return [f"{p.location.line}: {p.message}" for p in problems]


def test_every_file_is_a_series_and_is_read():
    assert {path.stem for path in (ROOT / "kernel/series").glob("*.yml")} == set(NAMES)
    assert list(SERIES) == ["4.4", "4.9", "4.11", "6.1", "6.12"], "by age, not by text"


@pytest.mark.parametrize("series", SERIES.values(), ids=NAMES)
def test_sources_are_pinned(series):
    for release in series.releases.values():
        assert release.sha256 is not None
        assert release.version in release.url
        assert all(release.version in mirror for mirror in release.mirrors)


@pytest.mark.parametrize("series", SERIES.values(), ids=NAMES)
def test_patches_say_what_they_correspond_to_and_are_used(series):
    for release in series.releases.values():
        for patch in release.patches:
            text = (ROOT / "kernel/patches" / patch).read_text()
            assert text.startswith("Subject: ")
            assert re.search(r"^Corresponds-to: \S", text, re.MULTILINE)


def test_no_patch_is_idle():
    used = {patch for series in SERIES.values() for release in series.releases.values() for patch in release.patches}
    assert used == {path.name for path in (ROOT / "kernel/patches").glob("*.patch")}


@pytest.mark.parametrize(
    ("series", "variant", "platform"), BUILDS, ids=[f"{s.name}-{v}-{p.arch}" for s, v, p in BUILDS]
)
def test_what_is_asked_for_keeps_the_rules(series, variant, platform):
    kernel = KernelName(series.name, variant=variant)
    asked = {wish.symbol: wish.value for wish in config.merged(ROOT, series, kernel, platform)}
    assert asked["MODULE_SIG"] == "y"
    assert asked["MODULE_SIG_FORCE"] == ("y" if series.enforce else "n")
    assert asked["MODULE_SIG_ALL"] == "n"
    assert asked["MODULE_SIG_KEY"] == '""', "any other value makes a private key inside the build"
    assert asked[f"MODULE_SIG_{series.module_hash.upper()}"] == "y"
    assert asked["SYSTEM_TRUSTED_KEYS"] == '"certs/trusted.pem"', "an absolute path would be in the image"
    assert asked["LOCALVERSION_AUTO"] == "n"
    assert asked["TIGON3"] == "m"


def test_a_symbol_s_place_is_known():
    first = config.merged(ROOT, SERIES["6.1"], SMALL, Platform.parse("amd64"))[0]
    assert str(first.location) == "kernel/config/base.config:3:1"
    assert first.location.text == 'CONFIG_LOCALVERSION="-linuxkit"'


def test_end_of_life():
    assert SERIES["4.11"].is_over(date(2020, 1, 1))
    assert not SERIES["6.12"].is_over(date(2026, 1, 1))


def test_other_releases_and_variants_are_told():
    assert SERIES["4.9"].release("4.9.31").patches == ("x86-plt32-relocations.patch", "elfcore-no-mcount.patch")
    with pytest.raises(KernelError, match=r"4\.9\.1 is not pinned") as caught:
        SERIES["4.9"].release("4.9.1")
    assert "4.9.337" in caught.value.hint
    with pytest.raises(KernelError, match="no variant 'huge'"):
        SERIES["4.9"].fragments("huge")


def test_a_permissive_series_has_its_own_fragment(tree):
    path = Path(tree.root) / "kernel/series/6.1.yml"
    path.write_text(path.read_text().replace("enforce: true", "enforce: no"))
    series = read_all(tree, ("6.1",))["6.1"]
    assert series.fragments("small")[-1] == "signing-permissive"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("compiler: gcc-12", "compiler: clang", "13: 'compiler' does not match"),
        ("compiler:", "complier:", "unknown key 'complier'"),
        ("sha256: ", "sha256: g", "'sha256' does not match"),
        ("platforms: [linux/amd64", "platforms: [linux/amd 64", "can't be part of a platform"),
        ("version: 6.1.192", "version: 6.1.193", "6.1.193 is not among the releases"),
        ("  6.1.192:", "  6.2.1:", "6.2.1 is not a release of 6.1"),
        ("url: http", "url: htp", "is not a URL"),
        ("plain: [base,", "plain: [bsae,", "kernel/config/bsae.config does not exist"),
        ("end-of-life: 2027-12-31", "end-of-life: 2027-02-31", "is not a date"),
        ('series: "6.1"', 'series: "6.3"', "must be called 6.3.yml"),
        ("    debian:", "    patches: [none.patch]\n    debian:", "kernel/patches/none.patch does not exist"),
        ("    debian:", "    git: https://x/y\n    debian:", "either a url or a git repository"),
        ("objects: {plain:", "objects: {plane:", "there is no variant 'plane'"),
    ],
)
def test_a_mistake_is_told_by_line(tree, old, new, expected):
    problems = edited(tree, old, new)
    assert any(expected in problem for problem in problems), problems
    assert all(int(problem.partition(":")[0]) > 0 for problem in problems)


def test_all_mistakes_of_all_files_at_once(tree):
    for name in ("4.4", "6.1"):
        path = Path(tree.root) / f"kernel/series/{name}.yml"
        path.write_text(path.read_text().replace("compiler: gcc-12", "compiler: cc"))
    with pytest.raises(Problems) as caught:
        read_all(tree, (*NAMES, "7.0"))
    assert len(caught.value.problems) == 3
    assert {p.location.file for p in caught.value.problems} == {f"kernel/series/{n}.yml" for n in ("4.4", "6.1", "7.0")}


def made(tree, series, name, identity):
    found = KernelName.parse(name)
    return kernel_packages(tree, series, found, Surroundings("linuxkit", identity.certificate))


def test_a_package_holds_what_determines_the_kernel_and_no_more(identity):
    tree = WorkingTree(ROOT)
    package, signed = made(tree, SERIES["4.11"], "kernel-4.11-small", identity)
    paths = [context.path for context in package.context]
    assert "kernel/config/small.config" in paths
    assert "kernel/config/containers.config" not in paths
    patches = [c.destination for c in package.context if "patches/" in c.path]
    assert patches[:2] == ["patches/0001-x86-plt32-relocations.patch", "patches/0002-x86-64-max-page-size.patch"]
    assert package.tag_template == "4.11.12-small-{{.Hash}}-unsigned"
    assert signed.tag_template == "4.11.12-small-{{.Hash}}"
    assert (package.repository, signed.repository) == ("linuxkit/kernel", "linuxkit/kernel")
    assert signed.seal.unsigned == package.name == "kernel-4.11-small-unsigned"
    assert package.inputs.pinned
    assert package.inputs.files[0].sha256.startswith("2e37d4e1")
    debug, signed = made(tree, SERIES["4.11"], "kernel-4.11-debug", identity)
    assert signed.tag_template == "4.11.12-dbg-{{.Hash}}"
    assert {a.name: a.value for a in debug.build_args}["KERNEL_DEBUG"] == "1"


def test_a_git_source_becomes_a_git_input(tree, identity):
    path = Path(tree.root) / "kernel/series/6.1.yml"
    text = path.read_text()
    start, end = text.index("    url:"), text.index("\ncompiler:")
    commit = "0123456789" * 4
    path.write_text(text[:start] + f"    git: https://git.example/linux.git\n    commit: {commit}\n" + text[end:])
    package, _ = made(tree, read_all(tree, ("6.1",))["6.1"], "kernel-6.1", identity)
    assert package.inputs.git[0].ref == commit
    assert {a.name: a.value for a in package.build_args}["KERNEL_SOURCE"] == "git/linux"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kernel-6.1", KernelName("6.1")),
        ("kernel-6.1-unsigned", KernelName("6.1")),
        ("kernel-4.9.31-debug", KernelName("4.9", "4.9.31", "debug")),
        ("kernel-4.9-small-unsigned", KernelName("4.9", "", "small")),
        ("kernel-build", None),
        ("kernel-6", None),
        ("kernel-6.1-", None),
        ("kernel-6.1-A", None),
        ("my-kernel-6.1", None),
    ],
)
def test_names_of_kernels(text, expected):
    assert KernelName.parse(text) == expected
    if expected:
        assert str(expected) == text.removesuffix("-unsigned")


def test_a_fragment_s_mistake_is_told_by_line(tree):
    path = Path(tree.root) / "kernel/config/tg3.config"
    path.write_text(path.read_text() + "CONFIG_X=y  # sometimes\n")
    with pytest.raises(PkgtoolError, match="none of: since") as caught:
        config.merged(Path(tree.root), SERIES["6.1"], SMALL, Platform.parse("amd64"))
    assert caught.value.location.file == "kernel/config/tg3.config"
    assert caught.value.location.text == "CONFIG_X=y  # sometimes"
