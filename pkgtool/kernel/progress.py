"""What a kernel build is doing and about how far it is, read from what it prints.

The recipe says its steps as `==> [4/7] compile …, about 2471 objects`; Kbuild prints one line for each object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_STEP = re.compile(r"==> \[(\d+)/(\d+)\] (.*?)(?:, about (\d+) objects)?\Z")
_OBJECT = re.compile(r"\s+(?:CC|AS|LD|HOSTCC)(?: \[M\])?\s+\S+\.o\b")


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """Where a build is. `expected` is the number of objects of the last such build on this machine, or `usual`.

    `usual` is what such a build has as a rule, as the series file says. Both are 0 if they are not known.
    """

    step: int = 0
    steps: int = 0
    title: str = ""
    objects: int = 0
    expected: int = 0
    usual: int = 0

    @property
    def text(self) -> str:
        """One line for people."""
        if not self.objects:
            return f"{self.title} ({self.step}/{self.steps})" if self.steps else self.title
        share = f", about {min(99, 100 * self.objects // self.expected)} %" if self.expected else ""
        return f"{self.title} ({self.step}/{self.steps}): {self.objects} objects{share}"


def follow(progress: BuildProgress, line: str) -> BuildProgress:
    """The progress after one more line."""
    step = _STEP.match(line)
    if step:
        expected = int(step[4] or 0) or progress.usual
        return BuildProgress(int(step[1]), int(step[2]), step[3], 0, expected, progress.usual)
    return replace(progress, objects=progress.objects + 1) if _OBJECT.match(line) else progress
