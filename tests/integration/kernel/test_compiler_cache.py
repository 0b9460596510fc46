"""The recipe's compiler cache: an object out of it is always the one that the compiler would make now.

A tree in miniature is compiled with the recipe's own ccache.sh, by a real compiler and a real ccache, and each object
is compared with one compiled without them.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.kernel import ROOT

BUILD = ROOT / "kernel/build"
SYMBOLS = ("ALPHA", "BETA", "GAMMA", "GAMMA_MODULE", "DELTA", "UNUSED")
SOURCE = """
#include <linux/header.h>
int alpha =
#ifdef CONFIG_ALPHA
    CONFIG_ALPHA + 1;
#else
    0;
#endif
int delta = IS_ENABLED(CONFIG_DELTA), nowhere =
#ifdef CONFIG_NOWHERE
    1;
#else
    0;
#endif
"""
HEADER = """
#ifdef CONFIG_BETA
int beta = 7;
#endif
#if defined(CONFIG_GAMMA) || defined(CONFIG_GAMMA_MODULE)
int gamma = 8;
#endif
"""
KCONFIG_H = """
#include <generated/autoconf.h>
#define __ARG_PLACEHOLDER_1 0,
#define __take_second_arg(__ignored, val, ...) val
#define __is_defined(x) ___is_defined(x)
#define ___is_defined(val) ____is_defined(__ARG_PLACEHOLDER_##val)
#define ____is_defined(arg1_or_junk) __take_second_arg(arg1_or_junk 1, 0)
#define IS_ENABLED(option) (__is_defined(option) || __is_defined(option##_MODULE))
"""


@dataclass
class Tree:
    """A tree, its cache and what the next compilation says of it."""

    root: Path

    @property
    def source(self) -> Path:
        return self.root / "linux/main.c"

    def write(self, name: str, text: str) -> None:
        path = self.root / "linux" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def configure(self, values: dict[str, str]) -> None:
        lines = (f"#define CONFIG_{name} {value}" for name, value in values.items())
        self.write("include/generated/autoconf.h", "\n".join(["/* made by a test */", *lines, ""]))

    def start_build(self) -> None:
        """What every build does before it compiles."""
        self._run(
            f'here={BUILD} tree="$KERNEL_WORK/linux" compiler=gcc host_compiler=gcc; . {BUILD}/ccache.sh\n'
            'cache_compilers; export -p >"$KERNEL_WORK/environment"'
        )

    def compile(self, argument: str = "") -> tuple[bytes, bool]:
        """The object, and whether it came out of the cache. It is what a compiler without a cache makes."""
        past = time.time() - 5
        for path in (self.root / "linux").rglob("*"):
            # ccache leaves alone what changed within the second that it looks at it.
            os.utime(path, (past, past))
        said = self._run(
            f'. "$KERNEL_WORK/environment"; here={BUILD} tree="$KERNEL_WORK/linux"; . {BUILD}/ccache.sh\n'
            'rm -rf "$KERNEL_SYMBOLS"; cache_by_symbol; cd "$tree"; ccache --zero-stats >&2; '
            f"{self._command('main.o', argument)}; ccache --print-stats"
        )
        stats = dict(line.split("\t") for line in said.splitlines() if "\t" in line)
        self._run(f'cd "$KERNEL_WORK/linux"; {self._command("plain.o", argument)}')
        cached, plain = (self.root / "linux" / name for name in ("main.o", "plain.o"))
        assert cached.read_bytes() == plain.read_bytes()
        return cached.read_bytes(), int(stats["direct_cache_hit"]) > 0

    def _command(self, output: str, argument: str) -> str:
        options = f"-Wp,-MMD,.{output}.d -nostdinc -Ilocal -Iinclude -include include/linux/kconfig.h"
        return f"gcc {options} {argument} -c -o {output} main.c"

    def _run(self, script: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "KERNEL_WORK": str(self.root),
            "KERNEL_CCACHE": str(self.root / "cache"),
            "CCACHE_SLOPPINESS": "include_file_ctime",
        }
        done = subprocess.run(["sh", "-eu", "-c", script], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path)
    tree.write("Kconfig", "".join(f"config {name}\n\tbool\n" for name in SYMBOLS if name != "GAMMA_MODULE"))
    tree.write("include/linux/kconfig.h", KCONFIG_H)
    tree.write("include/linux/header.h", HEADER)
    tree.write("main.c", SOURCE)
    tree.configure({})
    tree.start_build()
    return tree


def test_only_a_symbol_that_is_mentioned_counts(tree):
    first, hit = tree.compile()
    assert not hit
    tree.configure({"UNUSED": "1"})
    assert tree.compile() == (first, True)
    tree.configure({"BETA": "1"})
    changed, hit = tree.compile()
    assert changed != first
    assert not hit
    tree.configure({"UNUSED": "1"})
    assert tree.compile() == (first, True)


def test_any_configuration_gives_what_the_compiler_gives(tree):
    """`compile` compares; here many configurations follow each other, those of modules and of no Kconfig file too."""
    rng = random.Random(1)
    hits = 0
    for _ in range(15):
        chosen = rng.sample([*SYMBOLS, "NOWHERE", "DELTA_MODULE"], rng.randint(0, 3))
        tree.configure({name: rng.choice(["1", "2"]) if name == "ALPHA" else "1" for name in chosen})
        hits += tree.compile()[1]
    assert hits > 3


@pytest.mark.parametrize(
    "text",
    [
        "#define PASTE(x) CONFIG_##x\n#define VALUE(x) PASTE(x)\n",
        "#define PASTE(x) CONFIG_ ## x\n#define VALUE(x) PASTE(x)\n",
        "#define VALUE(x) CONFIG_UNU\\\nSED\n",
    ],
    ids=["pasted", "pasted with spaces", "over two lines"],
)
def test_a_name_that_is_put_together_makes_every_symbol_count(tree, text):
    tree.write("main.c", f"{text}int value[] = {{ sizeof(#x) }};".replace("sizeof(#x)", "VALUE(UNUSED)"))
    tree.configure({"UNUSED": "1"})
    first, _ = tree.compile()
    tree.configure({"UNUSED": "2"})
    second, hit = tree.compile()
    assert first != second
    assert not hit


@pytest.mark.parametrize(
    "text", ['asm(".incbin \\"data\\"");', 'asm(".incbin\\t\\"data\\"");', 'asm(".include \\"data\\"");']
)
def test_what_the_assembler_reads_is_read_again(tree, text):
    tree.write("data", '.ascii "one"\n')
    tree.write("main.c", text)
    first, _ = tree.compile()
    tree.write("data", '.ascii "two"\n')
    second, hit = tree.compile()
    assert first != second
    assert not hit


def test_a_symbol_in_an_argument_counts(tree):
    tree.compile("-DCONFIG_DELTA")
    tree.write("main.c", "int value = VALUE;")
    tree.configure({"ALPHA": "1"})
    first, _ = tree.compile("-DVALUE=CONFIG_ALPHA")
    tree.configure({"ALPHA": "1", "UNUSED": "1"})
    assert tree.compile("-DVALUE=CONFIG_ALPHA") == (first, True)
    tree.configure({"ALPHA": "2"})
    second, hit = tree.compile("-DVALUE=CONFIG_ALPHA")
    assert first != second
    assert not hit


def test_a_new_header_before_another_is_seen(tree):
    tree.compile()
    tree.write("local/linux/header.h", "int other;")
    tree.start_build()
    _, hit = tree.compile()
    assert not hit
