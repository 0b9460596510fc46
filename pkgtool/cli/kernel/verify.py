"""`pkgtool kernel verify`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pkgtool.cli import options
from pkgtool.errors import ExitCode, KernelError


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.kernel.common import kernel_names, kernel_run_options
    from pkgtool.workflows.kernel_images import verify, verify_directory

    modules = [Path(module) for module in parsed.module]
    directories = [Path(text) for text in parsed.series if Path(text).is_dir()]
    if directories:
        found = [verify_directory(directory, modules) for directory in directories]
    else:
        run_options = kernel_run_options(parsed)
        found = [each for name in kernel_names(parsed) for each in verify(run_options, str(name), modules)]
    bad = [each for each in found if each.findings]
    if parsed.json:
        options.emit(json.dumps([each.document() for each in found], indent=2))
    else:
        for each in found:
            state = f"{len(each.findings)} would be refused" if each.findings else "all good"
            trusted = ", ".join(each.trusted)
            options.emit(f"{each.what}: {each.modules} modules, {state} ({each.seconds:.2f} s), trusted: {trusted}")
    if not bad:
        return ExitCode.OK
    raise KernelError(
        f"{sum(len(each.findings) for each in bad)} modules would be refused by their kernel",
        details=[f"{each.what}: {finding}" for each in bad for finding in each.findings[:20]],
        hint="sign the kernel again: pkgtool kernel sign",
    )
