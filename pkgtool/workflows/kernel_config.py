"""Kernel configurations: what is asked for, what a tree made of it, how two differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pkgtool.config.yaml_reader import Source
from pkgtool.errors import KernelError, StoreError, UsageError
from pkgtool.kernel import config, hardening, seal
from pkgtool.kernel.config import Asked, Change, Configured
from pkgtool.kernel.hardening import Judged, Opinion
from pkgtool.kernel.package import KernelName
from pkgtool.kernel.series import Series, read_all
from pkgtool.source.trees import WorkingTree
from pkgtool.values import Platform
from pkgtool.workflows.kernel_images import unpacked
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.tree import find_root


def asked(options: RunOptions, name: KernelName) -> tuple[Asked, ...]:
    """What the fragments of a kernel ask for. Raises `ConfigError`."""
    root, series = _series(options, name)
    return config.merged(root, series, name, _platform(options, series))


def configured(options: RunOptions, name: KernelName, linux: Path) -> Configured:
    """Configure an unpacked kernel source and insist on the result. Raises `KernelError` or `Problems`."""
    root, series = _series(options, name)
    if not (linux / "Kbuild").is_file():
        raise UsageError(f"{linux} is no kernel source", hint="unpack one there, and name its top directory")
    return config.configure(root, series, name, _platform(options, series), linux)


def hardened(options: RunOptions, name: KernelName, linux: Path | None = None) -> Opinion:
    """What kernel-hardening-checker says of a kernel of the store, or of the .config of a tree.

    Raises `ToolMissing` without the program, `StoreError` for a kernel that is not built, `UsageError` for a tree that
    is not configured, `ConfigError` or `Problems` for an allow list that is no good.
    """
    root, series = _series(options, name)
    hardening.require()
    kernel = Judged(series.name, name.variant, _platform(options, series).arch)
    allowed = hardening.read_allowed(Source(hardening.ALLOWED, (root / hardening.ALLOWED).read_bytes()), kernel)
    if linux:
        if not (linux / ".config").is_file():
            raise UsageError(
                f"{linux} has no .config to judge",
                hint=f"'pkgtool kernel config {str(name).removeprefix('kernel-')} --tree {linux}' makes it",
            )
        return hardening.check(linux / ".config", allowed)
    with unpacked(options, str(name)) as images:
        return hardening.check(images[0][1] / seal.CONFIG, allowed)


def differences(options: RunOptions, name: KernelName, other: str) -> tuple[Change, ...]:
    """What differs between a kernel and another one, or a .config file.

    If the store has both kernels, what they were built with is compared; else what their fragments ask for.
    """
    if Path(other).is_file():
        try:
            text = Path(other).read_text()
        except (OSError, UnicodeDecodeError) as problem:
            raise UsageError(f"{other} can't be read as a .config file: {problem}") from problem
        return config.diff(_built(options, name) or _wanted(options, name), config.parse(text))
    second = KernelName.parse(f"kernel-{other.removeprefix('kernel-')}")
    if second is None:
        raise UsageError(f"{other!r} is neither a kernel series nor a .config file", hint="--diff 6.1-debug")
    before, after = _built(options, name), _built(options, second)
    if before is None or after is None:
        before, after = _wanted(options, name), _wanted(options, second)
    return config.diff(before, after)


def _built(options: RunOptions, name: KernelName) -> Mapping[str, str] | None:
    try:
        with unpacked(options, str(name)) as images:
            return config.parse((images[0][1] / seal.CONFIG).read_text())
    except StoreError:
        return None


def _wanted(options: RunOptions, name: KernelName) -> dict[str, str]:
    return {each.symbol: each.value for each in asked(options, name)}


def _series(options: RunOptions, name: KernelName) -> tuple[Path, Series]:
    root = find_root(options.directory)
    return root, read_all(WorkingTree(root), (name.series,))[name.series]


def _platform(options: RunOptions, series: Series) -> Platform:
    wanted = options.platforms[:1] or series.platforms[:1]
    if wanted[0] not in series.platforms:
        raise KernelError(f"series {series.name} is not made for {wanted[0]}", location=series.location)
    return wanted[0]
