"""Boot a kernel with the tree's own packages on it: to prove it, or for a person at the console."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.errors import KernelError
from pkgtool.events import Note, Sink
from pkgtool.kernel import facts, seal
from pkgtool.kernel.boot import machine, proofs
from pkgtool.kernel.boot.attach import attach
from pkgtool.kernel.boot.cpio import Node
from pkgtool.kernel.boot.guest import kvm_works
from pkgtool.kernel.boot.image_nodes import image_nodes
from pkgtool.kernel.boot.initramfs import busybox
from pkgtool.kernel.boot.machine import Machine
from pkgtool.kernel.boot.proofs import Bench, Proof
from pkgtool.kernel.boot.scenarios import Workload, running
from pkgtool.kernel.module_archive import read_files
from pkgtool.values import Platform
from pkgtool.workflows.build import build
from pkgtool.workflows.failures import failure
from pkgtool.workflows.kernel_images import unpacked
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport, make_plan
from pkgtool.workflows.tree import build_platform

GETTY, SSHD, VSUDD, FORWARDER = "getty", "sshd", "vsudd", "vpnkit-forwarder"
MODULE = "tg3"


@dataclass(frozen=True, slots=True)
class BootOptions:
    """`append` is added to the kernel's command line; `seconds` is how long one boot of a test may take.

    `busybox` is the guest's first program, by default this machine's.
    """

    append: str = ""
    seconds: float = 300
    busybox: Path | None = None


@dataclass(frozen=True, slots=True)
class Proven:
    """What was shown of a kernel, and what could not be asked of it."""

    kernel: str
    release: str
    accelerator: str
    proofs: tuple[Proof, ...]
    left_out: tuple[str, ...]


def prove(options: RunOptions, name: str, how: BootOptions, *, events: Sink, cancel: Cancellation) -> Proven:
    """Build what is missing, and boot the kernel for one proof after the other.

    Raises `BootFailed` for the first that does not come out, `ToolMissing` without QEMU or busybox.
    """
    with _ready(options, name, (GETTY, SSHD, VSUDD, FORWARDER), how, events, cancel) as (bench, directory, nodes):
        release = facts.read_facts(directory).release
        files = read_files(directory / seal.ARCHIVE)
        trials: list[Callable[[], Proof]] = [
            lambda: bench.prompt(nodes(GETTY)),
            lambda: bench.remote_shell(nodes(SSHD), release),
            lambda: bench.modules(files, MODULE),
        ]
        left_out = []
        if proofs.has_vsock_loopback(release):
            trials.append(lambda: bench.forwarding(nodes(SSHD), nodes(VSUDD), nodes(FORWARDER)))
        else:
            left_out.append(
                "vsudd and vpnkit-forwarder over vsock: this kernel has no vsock loopback, and needs a host's side"
            )
        found = []
        for trial in trials:
            cancel.check()
            found.append(trial())
            events(Note("info", f"{name}: {found[-1].what} ({found[-1].seconds:.1f} s)"))
        return Proven(name, release, bench.machine.accelerator, tuple(found), tuple(left_out))


def boot_console(
    options: RunOptions,
    name: str,
    how: BootOptions,
    *,
    show: Callable[[str], None],
    keyboard: int,
    events: Sink,
    cancel: Cancellation,
) -> None:
    """Boot the kernel with getty, and connect its console with `show` and the file descriptor `keyboard`."""
    with _ready(options, name, (GETTY,), how, events, cancel) as (bench, _, nodes):
        script = f"export INSECURE=true\n{proofs.GETTY_COMMAND}\n"
        workload = Workload(tuple(nodes(GETTY)), script, bench.tools)
        day = 24 * 3600.0
        with running(bench.machine, workload, seconds=day, on_text=show) as guest:
            attach(guest, keyboard)


@contextlib.contextmanager
def _ready(
    options: RunOptions,
    name: str,
    packages: Sequence[str],
    how: BootOptions,
    events: Sink,
    cancel: Cancellation,
) -> Iterator[tuple[Bench, Path, Callable[[str], list[Node]]]]:
    """A machine for the built kernel, the kernel's files, and the files of packages by name."""
    tools = busybox((options.platforms or (build_platform(),))[0].arch, how.busybox)
    report = build(options, [name, *packages], events=events, cancel=cancel)
    if not report.results.good:
        raise failure(report, interrupted=cancel.requested)
    with unpacked(options, name) as images:
        if len(images) != 1:
            raise KernelError("one platform is booted at a time", hint="--platform linux/amd64")
        ((platform, directory),) = images
        kernel = directory / seal.KERNEL
        accelerator = machine.KVM if platform == build_platform() and kvm_works(kernel) else machine.TCG
        booted = Machine(kernel, arch=platform.arch, append=how.append, accelerator=accelerator)
        bench = Bench(booted, tools, how.seconds)
        yield bench, directory, lambda package: _nodes(options, report, package, platform)


def _nodes(options: RunOptions, report: BuildReport, package: str, platform: Platform) -> list[Node]:
    planned = make_plan(options, [package])
    for step in planned.plan.steps:
        if step.package == package and step.platform == platform and step.known:
            return list(image_nodes(report.store.layout, step.known.manifest))
    raise KernelError(f"{package} is not made for {platform}, so nothing can be booted with it")
