"""Built kernels: sign them where the key is, take their signatures off, verify their modules."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkgtool.actions.sealing import unpack
from pkgtool.cancel import Cancellation
from pkgtool.errors import KernelError, StoreError
from pkgtool.events import Sink
from pkgtool.kernel import seal
from pkgtool.kernel.package import UNSIGNED
from pkgtool.kernel.verify import Finding, trust_of, verify_archive, verify_modules
from pkgtool.plan import StepKind
from pkgtool.values import Platform
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport, carry_out, make_plan
from pkgtool.workflows.pull import consult_registry


@dataclass(frozen=True, slots=True)
class VerifiedKernel:
    """What a kernel would say of its modules. `seconds` is how long it took to find out."""

    what: str
    modules: int
    findings: tuple[Finding, ...]
    trusted: tuple[str, ...]
    """The names of the certificates inside the kernel."""
    seconds: float

    def document(self) -> dict[str, Any]:
        return {
            "kernel": self.what,
            "modules": self.modules,
            "refused": [{"module": f.path, "why": str(f.refusal), "message": f.message} for f in self.findings],
            "trusted": list(self.trusted),
            "seconds": round(self.seconds, 3),
        }


def seal_built(options: RunOptions, names: Sequence[str], *, events: Sink, cancel: Cancellation) -> BuildReport:
    """Sign kernels that are built, here or in the registry; nothing is compiled.

    Raises `StoreError` for one that is not built, `KernelError` for a key that does not do.
    """
    planned = make_plan(options, names)
    with consult_registry(planned, options, offline=False, events=events, cancel=cancel) as (final, actions):
        unsigned = {package.seal.unsigned for package in map(final.tree.package, names) if package.seal}
        absent = [s for s in final.plan.to_do() if s.kind is StepKind.BUILD and s.package in unsigned]
        if absent:
            first = absent[0].package.removeprefix("kernel-").removesuffix(UNSIGNED)
            raise StoreError(
                f"not built: {', '.join(step.title for step in absent)}",
                hint=f"pkgtool kernel build --unsigned {first}",
            )
        return carry_out(final, options, actions=actions, events=events, cancel=cancel)


def detach(options: RunOptions, name: str, target: Path) -> int:
    """Write the signatures of a signed kernel of the store into a file; how many there are.

    Raises `StoreError` if it is not in the store.
    """
    with unpacked(options, name) as images:
        ((_, directory),) = images[:1]
        signatures = seal.detach(directory)
        seal.write_signatures(target, signatures, epoch=0)
    return len(signatures.modules) + bool(signatures.secure_boot)


def verify(options: RunOptions, name: str, modules: Sequence[Path]) -> list[VerifiedKernel]:
    """Verify the kernel of the store on each platform, with modules of one's own. Raises `StoreError`."""
    with unpacked(options, name) as images:
        return [_verify(f"{name} {platform}", directory, modules) for platform, directory in images]


def verify_directory(directory: Path, modules: Sequence[Path]) -> VerifiedKernel:
    """Verify the files of a kernel image, wherever they come from. Raises `KernelError`."""
    return _verify(str(directory), directory, modules)


def _verify(what: str, directory: Path, modules: Sequence[Path]) -> VerifiedKernel:
    began = time.monotonic()
    try:
        configuration = (directory / seal.CONFIG).read_text()
        trust = trust_of(directory / seal.KERNEL, directory / seal.SYSTEM_MAP, configuration)
        own = [(str(path), path.read_bytes()) for path in modules]
    except OSError as problem:
        raise KernelError(f"{problem.filename} can't be read: {problem.strerror}") from problem
    found, extra = verify_archive(directory / seal.ARCHIVE, trust), verify_modules(own, trust)
    names = tuple(certificate.common_name for certificate in trust.certificates.values())
    seconds = time.monotonic() - began
    return VerifiedKernel(what, found.modules + extra.modules, (*found.findings, *extra.findings), names, seconds)


@contextmanager
def unpacked(options: RunOptions, name: str) -> Iterator[list[tuple[Platform, Path]]]:
    """The files of a kernel as the store has it, for each platform asked for. Raises `StoreError` if it has none."""
    planned = make_plan(options, [name])
    images = [
        (step.platform, step.known.manifest)
        for step in planned.plan.steps
        if step.package == name and step.platform and step.known
    ]
    if not images:
        series = name.removeprefix("kernel-")
        raise StoreError(
            f"the store has no {name} {', '.join(map(str, planned.target.platforms))}",
            hint=f"'pkgtool kernel build {series}' makes it, 'pkgtool pull {name}' brings a published one",
        )
    with tempfile.TemporaryDirectory(prefix="pkgtool-kernel-") as scratch:
        yield [
            (platform, unpack(planned.store.layout, manifest, Path(scratch) / platform.suffix))
            for platform, manifest in images
        ]
