"""Reading and merging configuration fragments, and comparing what came out."""

from __future__ import annotations

import importlib
import json
import shutil
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.config import typed
from pkgtool.config.yaml_reader import Source
from pkgtool.errors import ConfigError, KernelError, ToolMissing
from pkgtool.kernel import config, hardening
from pkgtool.kernel.schema import AllowedFile
from pkgtool.kernel.series import read_all
from pkgtool.source.trees import WorkingTree
from tests.support.command_line import CommandLine
from tests.support.kernel import ROOT
from tests.support.tree import TreeBuilder


@pytest.fixture(scope="module")
def scripts():
    """The recipe's own scripts, which run without pkgtool."""
    sys.path.insert(0, str(ROOT / "kernel/build"))
    try:
        yield importlib.import_module("fragments"), importlib.import_module("configure")
    finally:
        sys.path.remove(str(ROOT / "kernel/build"))


def read(scripts, text, version="6.1.192", arch="amd64"):
    fragments = scripts[0]
    return {w.name: w.value for w in fragments.read(text, "x.config", fragments.parse_version(version), arch)}


@pytest.mark.parametrize(
    ("condition", "version", "arch", "there"),
    [
        ("since 5.8", "5.8.0", "amd64", True),
        ("since 5.8", "5.8.3", "amd64", True),
        ("since 5.8", "5.7.19", "amd64", False),
        ("since 4.9", "4.11.12", "amd64", True),
        ("since 4.9.337, until 4.9", "4.9.31", "amd64", False),
        ("since 4.9.337, until 4.9", "4.9.337", "amd64", True),
        ("since 4.9.337, until 4.9", "4.11.12", "amd64", False),
        ("until 4.9.30", "4.9.30", "amd64", True),
        ("until 4.9.30", "4.9.31", "amd64", False),
        ("until 4.18", "4.18.20", "amd64", True),
        ("until 4.18", "4.19", "amd64", False),
        ("only arm64", "6.1", "amd64", False),
        ("only arm64 amd64", "6.1", "amd64", True),
        ("since 4.4, until 6.0, only amd64", "6.1", "amd64", False),
        ("", "6.1", "amd64", True),
    ],
)
def test_conditions(scripts, condition, version, arch, there):
    assert bool(read(scripts, f"CONFIG_A=y  # {condition}\n", version, arch)) is there
    assert bool(read(scripts, f"# CONFIG_A is not set  # {condition}\n", version, arch)) is there


def test_values_keep_their_form(scripts):
    text = 'CONFIG_S="a # b"  # since 4.4\nCONFIG_N=0x10\nCONFIG_E=""\n# CONFIG_O is not set\n# a comment\n\n'
    assert read(scripts, text) == {"S": '"a # b"', "N": "0x10", "E": '""', "O": "n"}


@pytest.mark.parametrize("line", ["CONFIG_A", "A=y", "CONFIG_A=y junk", "CONFIG_A = y"])
def test_other_lines_are_refused(scripts, line):
    with pytest.raises(scripts[0].FragmentError, match=r"x\.config:1"):
        read(scripts, line)


def test_a_symbol_stands_once_in_a_file(scripts):
    with pytest.raises(scripts[0].FragmentError, match=r"x\.config:2: CONFIG_A is already set in line 1"):
        read(scripts, "CONFIG_A=y\nCONFIG_A=m\n")
    assert read(scripts, "CONFIG_A=y # until 4.4\nCONFIG_A=m # since 4.9\n") == {"A": "m"}


def test_the_later_fragment_counts_and_keeps_its_place(scripts, tmp_path):
    fragments = scripts[0]
    (tmp_path / "one.config").write_text("CONFIG_A=y\nCONFIG_B=y\n")
    (tmp_path / "one.arm64.config").write_text("CONFIG_B=m\n")
    (tmp_path / "two.config").write_text("# CONFIG_A is not set\n")
    merged = fragments.load(tmp_path, ["one", "two"], "6.1", "arm64")
    assert {w.name: (w.value, w.place) for w in merged.values()} == {
        "A": ("n", f"{tmp_path}/two.config:1"),
        "B": ("m", f"{tmp_path}/one.arm64.config:1"),
    }
    assert fragments.to_config(merged) == "# CONFIG_A is not set\nCONFIG_B=m\n"
    with pytest.raises(fragments.FragmentError, match="no such fragment"):
        fragments.load(tmp_path, ["three"], "6.1", "arm64")


def test_what_was_not_granted_is_found(scripts):
    fragments, configure = scripts
    wishes = fragments.merge([fragments.read("CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n", "x", (6, 1), "amd64")])
    lost = configure.compare(wishes, {"A": "y", "B": "y", "C": "y"})
    assert [(wish.name, wish.value, got) for wish, got in lost] == [("B", "m", "y"), ("C", "n", "y")]


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True), st.sampled_from(["y", "m", "n", '"x"'])))
def test_two_configurations_differ_where_they_differ(symbols):
    lines = [f"# CONFIG_{n} is not set" if v == "n" else f"CONFIG_{n}={v}" for n, v in symbols.items()]
    parsed = config.parse("\n".join(lines))
    assert parsed == {n: v for n, v in symbols.items() if v != "n"}
    assert config.diff(parsed, parsed) == ()
    assert {c.symbol for c in config.diff({}, parsed)} == set(parsed)


def test_a_change_reads_well():
    assert [str(c) for c in config.diff({"A": "y", "B": "m"}, {"B": "y"})] == ["CONFIG_A: y → n", "CONFIG_B: m → y"]


ALLOWED = b"""
allowed:
  - reason: programs use it
    options: [CONFIG_AIO, CONFIG_GONE]
  - reason: only a trial
    variants: [small]
    platforms: [amd64]
    since: "6.1"
    until: "6.6"
    options: [CONFIG_KEXEC]
"""
SMALL = hardening.Judged("6.1", "small", "amd64")


def allowed(kernel=SMALL, text=ALLOWED):
    return hardening.read_allowed(Source("hardening.yml", text), kernel)


def test_an_allowance_counts_for_the_kernels_that_its_group_names():
    assert allowed() == {
        "CONFIG_AIO": "programs use it",
        "CONFIG_GONE": "programs use it",
        "CONFIG_KEXEC": "only a trial",
    }
    for other in (
        ("6.1", "plain", "amd64"),
        ("6.1", "small", "arm64"),
        ("4.11", "small", "amd64"),
        ("6.12", "small", "amd64"),
    ):
        assert "CONFIG_KEXEC" not in allowed(hardening.Judged(*other))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"allowed:\n  - options: [CONFIG_B]\n", "reason"),
        (b"allowed:\n  - {reason: '', options: [CONFIG_B]}\n", "reason"),
        (b"allowed:\n  - {reason: one, options: [CONFIG_B]}\n  - {reason: two, options: [CONFIG_B]}\n", "already: one"),
    ],
)
def test_an_allowance_needs_one_reason(text, message):
    with pytest.raises(ConfigError, match=message) as raised:
        allowed(text=text)
    assert raised.value.location.file == "hardening.yml"


def test_the_groups_of_this_tree_name_what_there_is():
    source = Source(hardening.ALLOWED, (ROOT / hardening.ALLOWED).read_bytes())
    schema, problems = typed.read(source, AllowedFile)
    assert problems == []
    series = read_all(WorkingTree(ROOT), tuple(path.stem for path in (ROOT / "kernel/series").glob("*.yml")))
    for group in schema.allowed:
        assert set(group.variants) <= {variant for each in series.values() for variant in each.variants}
        assert set(group.platforms) <= {platform.arch for each in series.values() for platform in each.platforms}
    for each in series.values():
        for variant in each.variants:
            for platform in each.platforms:
                found = hardening.read_allowed(source, hardening.Judged(each.name, variant, platform.arch))
                assert "CONFIG_MODULE_SIG_ALL" in found


@pytest.fixture
def checker(tmp_path, monkeypatch):
    """A program that answers as version 0.6 does (`-m json`)."""
    answer = [
        {"option_name": "CONFIG_BUG", "type": "kconfig", "desired_val": "y", "check_result": "OK"},
        {"option_name": "CONFIG_KEXEC", "type": "kconfig", "desired_val": "is not set", "check_result": 'FAIL: "y"'},
        {"option_name": "CONFIG_AIO", "type": "kconfig", "desired_val": "is not set", "check_result": 'FAIL: "y"'},
    ]
    program = tmp_path / "bin/kernel-hardening-checker"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(answer)}\nE\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program


def test_the_checker_s_answer_is_read_and_judged(tmp_path, checker):
    opinion = hardening.check(tmp_path / "config", {"CONFIG_AIO": "programs use it", "CONFIG_GONE": "once it did"})
    assert list(map(str, opinion.weaknesses)) == ['CONFIG_KEXEC should be is not set: FAIL: "y"']
    assert [finding.option for finding in opinion.allowed] == ["CONFIG_AIO"]
    assert opinion.idle == ("CONFIG_GONE",)
    checker.write_text("#!/bin/sh\necho nonsense; echo 'no such file' >&2\n")
    with pytest.raises(KernelError, match="can't be read") as raised:
        hardening.check(tmp_path / "config", {})
    assert raised.value.details == ("no such file",)


def test_the_command_fails_for_what_has_no_reason_and_names_a_stale_one(tmp_path, checker):
    tree = TreeBuilder(tmp_path / "tree")
    shutil.copytree(ROOT / "kernel", tree.root / "kernel", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pkgtool.yml", tree.root)
    tree.write("kernel/hardening.yml", ALLOWED.decode())
    tree.write("linux/.config", "CONFIG_AIO=y\n")
    call = ("kernel", "config", "--hardening", "--tree", str(tree.root / "linux"))
    good = CommandLine(tree.root, tmp_path / "store")(*call, "6.1-small").ok()
    assert good.out.strip() == "kernel-6.1-small: 2 findings stay, each for its reason; no finding needs CONFIG_GONE"
    bad = CommandLine(tree.root, tmp_path / "store")(*call, "6.1")
    assert bad.code != 0
    assert "weaker than it should be in 1 option" in bad.err
    assert "CONFIG_KEXEC should be is not set" in bad.err
    (tree.root / "linux/.config").unlink()
    bare = CommandLine(tree.root, tmp_path / "store")(*call, "6.1-small")
    assert "has no .config to judge" in bare.err
    assert f"'pkgtool kernel config 6.1-small --tree {tree.root / 'linux'}' makes it" in bare.err


def test_without_the_checker_the_command_says_where_it_is(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolMissing, match="judges a kernel's configuration"):
        hardening.require()
