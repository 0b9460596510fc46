"""What a kernel image says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pkgtool.errors import KernelError, Location
from pkgtool.kernel.identity import Certificate, parse_certificate
from pkgtool.oci.files import hash_file
from pkgtool.values import Digest

SOURCE_INFO, CONFIG, CERTIFICATE = "kernel-source-info", "kernel-config", "kernel-certificate.der"
_KEYS = ("KERNEL_SOURCE", "KERNEL_VERSION", "KERNEL_RELEASE")


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """One built kernel. `source` is where its source came from, with its hash or commit."""

    version: str
    release: str
    source: str
    config: Digest
    certificate: Certificate


def read_facts(directory: Path) -> KernelFacts:
    """The facts of an image's files. Raises `KernelError` if they are not those of a kernel image of ours."""
    path = directory / SOURCE_INFO
    try:
        pairs = (line.partition("=") for line in path.read_text().splitlines())
        said = {name: value for name, _, value in pairs}
        certificate = parse_certificate((directory / CERTIFICATE).read_bytes(), what=CERTIFICATE)
        config = hash_file(directory / CONFIG)
    except OSError as problem:
        raise KernelError(f"this is no kernel image: {problem.filename} can't be read") from problem
    missing = [key for key in _KEYS if not said.get(key)]
    if missing:
        raise KernelError(f"{SOURCE_INFO} does not say {', '.join(missing)}", location=Location(str(path)))
    source, version, release = (said[key] for key in _KEYS)
    return KernelFacts(version, release, source, config, certificate)
