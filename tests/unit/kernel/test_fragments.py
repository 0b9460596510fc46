"""Reading and merging configuration fragments, and comparing what came out."""

from __future__ import annotations

import importlib
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.errors import ConfigError, KernelError, ToolMissing
from pkgtool.kernel import config, hardening
from tests.support.kernel import ROOT


@pytest.fixture(scope="module")
def scripts():
    """The recipe's own scripts, which run without pkgtool."""
    sys.path.insert(0, str(ROOT / "kernel/build"))
    try:
        yield importlib.import_module("fragments"), importlib.import_module("configure")
    finally:
        sys.path.remove(str(ROOT / "kernel/build"))


def read(scripts, text, series="6.1", arch="amd64"):
    fragments = scripts[0]
    return {w.name: w.value for w in fragments.read(text, "x.config", fragments.parse_series(series), arch)}


@pytest.mark.parametrize(
    ("condition", "series", "arch", "there"),
    [
        ("since 5.8", "5.8", "amd64", True),
        ("since 5.8", "5.7", "amd64", False),
        ("since 4.9", "4.11", "amd64", True),
        ("until 4.18", "4.18", "amd64", True),
        ("until 4.18", "4.19", "amd64", False),
        ("only arm64", "6.1", "amd64", False),
        ("only arm64 amd64", "6.1", "amd64", True),
        ("since 4.4, until 6.0, only amd64", "6.1", "amd64", False),
        ("", "6.1", "amd64", True),
    ],
)
def test_conditions(scripts, condition, series, arch, there):
    assert bool(read(scripts, f"CONFIG_A=y  # {condition}\n", series, arch)) is there
    assert bool(read(scripts, f"# CONFIG_A is not set  # {condition}\n", series, arch)) is there


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


def test_hardening_findings_need_a_reason(tmp_path):
    allowed = hardening.read_allowed("# why\nCONFIG_A because it must\n")
    assert allowed == {"CONFIG_A": "because it must"}
    with pytest.raises(ConfigError, match="the reason why"):
        hardening.read_allowed("CONFIG_B\n")
    weak = [hardening.Weakness("CONFIG_B", "y", "FAIL")]
    opinion = hardening.judge(weak, allowed)
    assert opinion.weaknesses == tuple(weak)
    assert opinion.idle == ("CONFIG_A",)


def test_this_tree_s_allow_list_is_well_formed():
    assert "CONFIG_MODULE_SIG_ALL" in hardening.read_allowed((ROOT / hardening.ALLOWED).read_text())


def test_the_checker_s_answer_is_read_and_judged(tmp_path, monkeypatch):
    """The answer has the form of version 0.6 (`-m json`)."""
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
    opinion = hardening.check(tmp_path / "config", {"CONFIG_AIO": "programs use it", "CONFIG_GONE": "once it did"})
    assert list(map(str, opinion.weaknesses)) == ['CONFIG_KEXEC should be is not set: FAIL: "y"']
    assert [finding.option for finding in opinion.allowed] == ["CONFIG_AIO"]
    assert opinion.idle == ("CONFIG_GONE",)
    program.write_text("#!/bin/sh\necho nonsense\n")
    with pytest.raises(KernelError, match="can't be read"):
        hardening.check(tmp_path / "config", {})


def test_without_the_checker_the_command_says_where_it_is(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolMissing, match="judges a kernel's configuration"):
        hardening.require()
