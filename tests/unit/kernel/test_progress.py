"""What a build says of itself."""

from __future__ import annotations

from functools import reduce

from pkgtool.kernel.progress import BuildProgress, follow


def after(*lines: str) -> str:
    return reduce(follow, lines, BuildProgress()).text


def test_a_first_build_goes_by_what_is_usual():
    lines = ("==> [4/7] compile", "  CC      a.o")
    assert reduce(follow, lines, BuildProgress(usual=50)).text == "compile (4/7): 1 objects, about 2 %"
    known = ("==> [4/7] compile, about 4 objects", "  CC      a.o")
    assert reduce(follow, known, BuildProgress(usual=50)).text == "compile (4/7): 1 objects, about 25 %"


def test_steps_and_share():
    assert after("==> [1/7] unpack linux.tar.xz") == "unpack linux.tar.xz (1/7)"
    compiling = "==> [4/7] compile with gcc-12, 2 jobs, about 4 objects"
    assert after(compiling, "  CC      init/main.o") == "compile with gcc-12, 2 jobs (4/7): 1 objects, about 25 %"
    assert after(compiling, *["  CC [M]  a.o"] * 9).endswith("9 objects, about 99 %")
    quiet = ("warning: x.o", "  AR      built-in.a", "  LD [M]  tg3.ko")
    assert after("==> [4/7] compile", "  LD      vmlinux.o", *quiet) == "compile (4/7): 1 objects"
    assert after(compiling, "  CC      a.o", "==> [5/7] install modules") == "install modules (5/7)"
