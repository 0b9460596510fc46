"""A tree of as many packages as one likes, and what stands on what, worked out without pkgtool."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.support.tree import TreeBuilder

PLATFORMS = ("linux/amd64", "linux/arm64")


@dataclass(frozen=True)
class BigTree:
    """A committed tree, and for each package those that it depends on directly."""

    builder: TreeBuilder
    needs: Mapping[str, tuple[str, ...]]

    @property
    def leaves(self) -> list[str]:
        """Packages that nothing stands on."""
        used = {name for needs in self.needs.values() for name in needs}
        return [name for name in self.needs if name not in used]

    @property
    def bases(self) -> list[str]:
        """Packages that stand on nothing, and that others stand on."""
        used = {name for needs in self.needs.values() for name in needs}
        return [name for name, needs in self.needs.items() if not needs and name in used]

    def standing_on(self, changed: Iterable[str]) -> set[str]:
        """These packages and all that need one of them, found by asking all of them again and again."""
        found = set(changed)
        while more := {n for n, needs in self.needs.items() if n not in found and found & set(needs)}:
            found |= more
        return found


def make(builder: TreeBuilder, count: int, *, seed: int = 0) -> BigTree:
    """`count` packages, some of them bases, the others on one or two earlier ones; committed."""
    rng = random.Random(seed)
    builder.write("pkgtool.yml", f"org: test\nplatforms: [{', '.join(PLATFORMS)}]\n")
    names = [f"p{number:04}" for number in range(count)]
    needs: dict[str, tuple[str, ...]] = {}
    for number, name in enumerate(names):
        most = min(number, 2)
        chosen = rng.sample(names[:number], 0 if number < count // 20 else rng.choice([0, most, min(1, most)]))
        needs[name] = tuple(chosen)
        depends = f"depends:\n  packages: [{', '.join(chosen)}]\n" if chosen else ""
        start = f"ARG {chosen[0].upper()}_IMAGE\nFROM ${{{chosen[0].upper()}_IMAGE}}\n" if chosen else "FROM scratch\n"
        builder.package(name, depends, dockerfile=f"{start}COPY content /content\n")
    builder.commit("tree")
    return BigTree(builder, needs)
