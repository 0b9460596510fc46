"""actionlint, built once from its Go module (its PyPI package downloads a program when it is installed).

`python -m tests.support.actionlint ARGUMENTS` runs it.
"""

from __future__ import annotations

import os
import sys

from tests.support.registry import go_program

_MODULE = go_program.Module(
    "github.com/rhysd/actionlint",
    "v1.7.12",
    "d954c3f877cc5b98a10852bbb642c49758948d9527f1b588a544b6309d336ec2",
    ("./cmd/actionlint",),
    (1, 25),
)


def program() -> str:
    """The path of the program."""
    return str(go_program.build_module(_MODULE) / "actionlint")


if __name__ == "__main__":
    os.execv(program(), ["actionlint", *sys.argv[1:]])
