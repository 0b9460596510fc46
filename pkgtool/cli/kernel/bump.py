"""`pkgtool kernel bump`."""

from __future__ import annotations

import argparse
from pathlib import Path

from pkgtool.cli import options
from pkgtool.errors import ExitCode


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.kernel.common import kernel_names, kernel_run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.kernel_bump import bump

    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    keyring = Path(parsed.keyring) if parsed.keyring else None
    with cancellable() as cancel:
        for name in kernel_names(parsed):
            release = bump(kernel_run_options(parsed), name.series, keyring, events=events, cancel=cancel)
            options.emit(f"{name.series}: pinned {release.version}" if release else f"{name.series}: nothing newer")
    return ExitCode.OK
