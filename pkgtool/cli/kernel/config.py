"""`pkgtool kernel config`."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pkgtool.cli import options
from pkgtool.errors import ExitCode, KernelError

if TYPE_CHECKING:
    from pkgtool.kernel.package import KernelName
    from pkgtool.workflows.options import RunOptions


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.kernel.common import kernel_names, kernel_run_options
    from pkgtool.workflows import kernel_config

    run_options = kernel_run_options(parsed)
    for name in kernel_names(parsed):
        if parsed.hardening:
            _judge(parsed, run_options, name)
        elif parsed.diff:
            changes = kernel_config.differences(run_options, name, parsed.diff)
            if parsed.json:
                options.emit(json.dumps([{"symbol": c.symbol, "before": c.before, "after": c.after} for c in changes]))
            else:
                options.emit("\n".join(map(str, changes)) or "no difference")
        elif parsed.tree:
            found = kernel_config.configured(run_options, name, Path(parsed.tree))
            options.emit(f"{name}: all {found.asked} symbols are as asked for; {parsed.tree}/.config is written")
        else:
            asked = kernel_config.asked(run_options, name)
            if parsed.json:
                rows = [{"symbol": a.symbol, "value": a.value, "file": str(a.location)} for a in asked]
                options.emit(json.dumps(rows, indent=2))
            else:
                options.emit("\n".join(f"CONFIG_{a.symbol}={a.value}\t# {a.location}" for a in asked))
    return ExitCode.OK


def _judge(parsed: argparse.Namespace, run_options: RunOptions, name: KernelName) -> None:
    from pkgtool.kernel.hardening import ALLOWED
    from pkgtool.workflows import kernel_config

    opinion = kernel_config.hardened(run_options, name, Path(parsed.tree) if parsed.tree else None)
    if parsed.json:
        options.emit(json.dumps(dataclasses.asdict(opinion), indent=2))
    else:
        idle = f"; no finding needs {', '.join(opinion.idle)}" if opinion.idle else ""
        options.emit(f"{name}: {len(opinion.allowed)} findings stay, each for its reason{idle}")
    if opinion.weaknesses:
        raise KernelError(
            f"{name} is weaker than it should be in {len(opinion.weaknesses)} options",
            details=list(map(str, opinion.weaknesses)),
            hint=f"set them in kernel/config/, or write down in {ALLOWED} why they stay",
        )
