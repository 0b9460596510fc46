"""`pkgtool kernel boot`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from pkgtool.cli import options
from pkgtool.errors import ExitCode


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.kernel.common import kernel_names, kernel_run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.kernel_boot import BootOptions, boot_console, prove

    run_options = kernel_run_options(parsed)
    how = BootOptions(parsed.append, parsed.seconds, Path(parsed.busybox) if parsed.busybox else None)
    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        for name in map(str, kernel_names(parsed)):
            if parsed.test:
                found = prove(run_options, name, how, events=events, cancel=cancel)
                options.emit(json.dumps(dataclasses.asdict(found)) if parsed.json else _text(found))
            else:
                boot_console(
                    run_options, name, how, show=_show, keyboard=sys.stdin.fileno(), events=events, cancel=cancel
                )
    return ExitCode.OK


def _text(found: object) -> str:
    from pkgtool.workflows.kernel_boot import Proven

    assert isinstance(found, Proven)
    lines = [f"{found.kernel}: {found.release}, {found.accelerator}"]
    for proof in found.proofs:
        lines += [f"  {proof.what} ({proof.seconds:.1f} s)", *(f"      {line}" for line in proof.said)]
    return "\n".join([*lines, *(f"  not shown: {reason}" for reason in found.left_out)])


def _show(text: str) -> None:
    sys.stdout.write(text.replace("\n", "\r\n") if sys.stdin.isatty() else text)
    sys.stdout.flush()
