"""From the arguments of `pkgtool kernel` to names and options."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from pkgtool.errors import UsageError
from pkgtool.kernel.package import PLAIN, UNSIGNED, KernelName
from pkgtool.model import KernelSettings
from pkgtool.workflows.options import KernelOptions, RunOptions
from pkgtool.workflows.tree import find_root


def kernel_names(parsed: argparse.Namespace, *, everything: bool = True) -> list[KernelName]:
    """The kernels that the arguments mean; none named: every series. Raises `UsageError`."""
    texts = parsed.series
    if not texts and everything:
        from pkgtool.workflows.kernels import series_of

        texts = list(series_of(find_root(parsed.directory)))
        if not texts:
            raise UsageError("this tree has no kernels", hint="a series is a file kernel/series/X.Y.yml")
    return [kernel_name(text, parsed.variant) for text in texts]


def kernel_name(text: str, variant: str = "") -> KernelName:
    """One kernel: `6.1`, `4.9.31`, `6.1-debug`, each also with `kernel-` before it. Raises `UsageError`."""
    found = KernelName.parse(text if text.startswith("kernel-") else f"kernel-{text}")
    if found is None:
        raise UsageError(f"{text!r} is not a kernel series", hint="6.1, 4.9.31 or 6.1-debug; see pkgtool kernel list")
    if variant and found.variant not in (PLAIN, variant):
        raise UsageError(
            f"{text} and --variant {variant} contradict each other", hint=f"{found.series} --variant {variant}"
        )
    return replace(found, variant=variant) if variant else found


def package_names(names: list[KernelName], *, unsigned: bool = False) -> list[str]:
    """Their packages' names."""
    return [f"{name}{UNSIGNED}" if unsigned else str(name) for name in names]


def kernel_run_options(parsed: argparse.Namespace) -> RunOptions:
    """The options of a run, with who signs modules."""
    from pkgtool.cli.run_options import run_options

    settings = KernelSettings(
        _place(parsed.certificate),
        parsed.key if ":" in parsed.key else _place(parsed.key),
        _place(parsed.secure_boot_certificate),
        _place(parsed.secure_boot_key),
    )
    password = Path(parsed.key_password_file) if parsed.key_password_file else None
    signatures = None
    if parsed.signatures:
        from pkgtool.kernel.seal import read_signatures

        signatures = read_signatures(Path(parsed.signatures))
    return replace(run_options(parsed), kernels=KernelOptions(settings, password, signatures))


def _place(path: str) -> str:
    """What the command line says starts at the working directory."""
    return str(Path(path).expanduser().resolve()) if path else ""
