"""Kernels and firmware.

A kernel image says what it was made of in `kernel-source-info` (lines of `KERNEL_…=value`, as LinuxKit's kernels have
it) and in its labels; the configuration that it was built with lies beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pkgtool.sbom import purl
from pkgtool.sbom.model import Component, Kind

SOURCE_INFO = "kernel-source-info"
CONFIGURATION = "kernel-config"
_SHA256 = re.compile(r"\bsha256[:= ]([0-9a-f]{64})\b")
_URL = re.compile(r"\b(?:https?|git|file)://\S+")
_FIRMWARE = ("lib/firmware/", "usr/lib/firmware/")
_FIRMWARE_PACKAGE = "firmware-"


def is_firmware(path: str) -> bool:
    """Whether a file lies where the kernel looks for firmware."""
    return path.startswith(_FIRMWARE)


def kernel(source_info: str, configuration_sha256: str, labels: Mapping[str, str]) -> Component | None:
    """The kernel of an image; None if its description names no version."""
    said = dict(line.split("=", 1) for line in source_info.splitlines() if "=" in line)
    version = said.get("KERNEL_VERSION") or said.get("KERNEL_RELEASE", "")
    if not version:
        return None
    source = said.get("KERNEL_SOURCE", "")
    digest, url = _SHA256.search(source), _URL.search(source)
    properties = {name.lower().replace("_", "."): value for name, value in sorted(said.items())}
    if configuration_sha256:
        properties["kernel.config.sha256"] = configuration_sha256
    properties |= {name: value for name, value in sorted(labels.items()) if ".kernel." in name}
    return Component(
        Kind.KERNEL,
        "linux",
        version,
        purl.purl("generic", "linux", version),
        "The Linux kernel's developers",
        download=url[0] if url else "",
        hashes={"sha256": digest[1]} if digest else {},
        properties=properties,
        locations=(SOURCE_INFO,),
    )


def firmware(files: Iterable[tuple[str, str]], packages: Iterable[str]) -> list[Component]:
    """Firmware files (path and sha256) as components, unless Debian's firmware packages account for them."""
    if any(name.startswith(_FIRMWARE_PACKAGE) for name in packages):
        return []
    return [
        Component(
            Kind.FIRMWARE,
            path.partition("firmware/")[2],
            "",
            purl.purl("generic", f"firmware/{path.partition('firmware/')[2]}", "", {"checksum": f"sha256:{sha256}"}),
            hashes={"sha256": sha256},
            locations=(path,),
        )
        for path, sha256 in sorted(files)
    ]
