"""Why Kconfig did not take a value: the unmet dependency, the `select` that forces it, the missing prompt.

kconfiglib reads the kernel's Kconfig files. It fails on the bare `modules` line that 5.18 brought in place of
`option modules`, so that line is read as its older spelling.
"""

from __future__ import annotations

import os
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class Unavailable(Exception):
    """kconfiglib is missing or can't read this tree; the message says which."""


def explainer(tree: Path, make_variables: Mapping[str, str]) -> Explainer:
    """Reads the Kconfig files of a tree that has a .config. Raises `Unavailable`."""
    try:
        import kconfiglib
    except ImportError as problem:
        raise Unavailable("kconfiglib is not installed (Debian: python3-kconfiglib)") from problem
    previous = dict(os.environ)
    os.environ.update(_environment(tree, make_variables))
    here = Path.cwd()
    try:
        os.chdir(tree)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kconf = _reader(kconfiglib)("Kconfig", warn=False, encoding="utf-8")
            kconf.load_config(".config")
    except (kconfiglib.KconfigError, OSError) as problem:
        raise Unavailable(f"kconfiglib can't read this tree: {str(problem).strip().splitlines()[0]}") from problem
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(previous)
    return Explainer(kconf, kconfiglib)


def _reader(kconfiglib: Any) -> Any:
    class Reader(kconfiglib.Kconfig):  # type: ignore[misc]
        def _next_line(self) -> bool:
            readline = self._readline

            def translated() -> str:
                line: str = readline()
                return "\toption modules\n" if line.strip() == "modules" else line

            self._readline = translated
            try:
                return bool(super()._next_line())
            finally:
                self._readline = readline

    return Reader


def _environment(tree: Path, make_variables: Mapping[str, str]) -> dict[str, str]:
    """What the kernel's Makefile exports for its Kconfig files."""
    cross = make_variables.get("CROSS_COMPILE", "")
    compiler = make_variables.get("CC", f"{cross}gcc")
    arch = make_variables["ARCH"]
    version = subprocess.run(
        [*compiler.split(), "--version"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return {
        "srctree": ".",
        "ARCH": arch,
        "SRCARCH": {"x86_64": "x86", "i386": "x86"}.get(arch, arch),
        "KERNELVERSION": kernel_version(tree),
        "CC": compiler,
        "HOSTCC": "gcc",
        "HOSTCXX": "g++",
        "CC_VERSION_TEXT": version.stdout.partition("\n")[0].replace("#", ""),
        "PAHOLE": "pahole",
        "RUSTC": "rustc",
        "BINDGEN": "bindgen",
        **{tool.upper(): f"{cross}{tool}" for tool in ("ld", "ar", "nm", "objcopy", "objdump", "readelf", "strip")},
    }


def kernel_version(tree: Path) -> str:
    """The version in the tree's Makefile, such as 6.1.192."""
    found: dict[str, str] = {}
    for line in (tree / "Makefile").read_text().splitlines()[:8]:
        name, equals, value = line.partition("=")
        if equals:
            found[name.strip()] = value.strip()
    numbers = ".".join(found.get(part, "0") for part in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))
    return numbers + found.get("EXTRAVERSION", "")


class Explainer:
    """Answers for one configured tree."""

    def __init__(self, kconf: Any, kconfiglib: Any) -> None:
        self._kconf = kconf
        self._lib = kconfiglib

    def why(self, name: str, asked: str) -> str:
        """Why symbol `name` is not `asked`, as one clause."""
        symbol = self._kconf.syms.get(name)
        if symbol is None or not symbol.nodes:
            return "this kernel has no such symbol (say `# since` or `# until` in the fragment if others have)"
        if asked == "n":
            forced = [self._expression(e) for e in self._true_parts(symbol.rev_dep)]
            if forced:
                return f"selected by {', '.join(forced)}"
        unmet = self._unmet(symbol)
        if unmet:
            return "depends on " + " and ".join(unmet)
        if not any(node.prompt for node in symbol.nodes):
            return "it has no prompt: only a default or a `select` can set it"
        if symbol.choice is not None:
            chosen = symbol.choice.selection
            return f"another member of its choice is set: {chosen.name if chosen else 'none'}"
        if asked == "n" and symbol.user_value is None:
            return "its prompt is not visible, and its default is y"
        return f"Kconfig allows {', '.join('nmy'[v] for v in symbol.assignable) or 'no choice'}"

    def _unmet(self, symbol: Any) -> list[str]:
        """The smallest false parts of the dependencies; of several definitions, those of the first."""
        for node in symbol.nodes:
            visible = node.prompt[1] if node.prompt else node.dep
            parts = [part for condition in (node.dep, visible) for part in self._false_parts(condition)]
            return list(dict.fromkeys(self._expression(part) for part in parts))
        return []

    def _false_parts(self, expression: Any) -> Iterator[Any]:
        lib = self._lib
        if isinstance(expression, tuple) and expression[0] is lib.AND:
            yield from self._false_parts(expression[1])
            yield from self._false_parts(expression[2])
        elif lib.expr_value(expression) < 2:
            yield expression

    def _true_parts(self, expression: Any) -> Iterator[Any]:
        lib = self._lib
        if isinstance(expression, tuple) and expression[0] is lib.OR:
            yield from self._true_parts(expression[1])
            yield from self._true_parts(expression[2])
        elif lib.expr_value(expression) > 0:
            yield expression

    def _expression(self, expression: Any) -> str:
        def with_value(item: Any) -> str:
            text: str = self._lib.standard_sc_expr_str(item)
            constant = getattr(item, "is_constant", False) or not getattr(item, "nodes", None)
            return text if constant else f"{text} (={item.str_value})"

        text: str = self._lib.expr_str(expression, with_value)
        return text
