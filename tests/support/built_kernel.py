"""A real kernel as the store has it: its files before and after signing, and the key that signed them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.command_line import CommandLine
from tests.support.kernel import KeyPair
from tests.support.store_images import StoredImage, stored

SERIES = "6.1-small"
NAME = f"kernel-{SERIES}"
TOOL = "kernel-build"
DEVELOPMENT = ".pkgtool/kernel"
EPOCH = 1577836800


@dataclass(frozen=True)
class BuiltKernel:
    """`unsigned` and `signed` are directories with the files of the two images."""

    pkgtool: CommandLine
    unsigned: Path
    signed: Path

    @property
    def pair(self) -> KeyPair:
        """The key and certificate of this checkout."""
        place = self.pkgtool.directory / DEVELOPMENT
        return KeyPair(place / "development-key.pem", place / "development-certificate.pem")

    @property
    def kernel(self) -> Path:
        return self.signed / "kernel"


def build(pkgtool: CommandLine, scratch: Path) -> BuiltKernel:
    """Debian's 6.1 with the small configuration: from source, unless the store has it."""
    pkgtool.run("kernel", "build", SERIES, "--progress", "plain", timeout=3600).ok()
    return BuiltKernel(
        pkgtool,
        image_of(pkgtool, f"{NAME}-unsigned").unpack(scratch / "unsigned"),
        image_of(pkgtool, NAME).unpack(scratch / "signed"),
    )


def image_of(pkgtool: CommandLine, package: str, arch: str = "amd64") -> StoredImage:
    """The image of a package at its present tag."""
    return stored(pkgtool.store, f"{pkgtool.run('show-tag', package).ok().out.strip()}-{arch}")


class SignFile:
    """The kernel's own scripts/sign-file, out of kernel-dev.tar, with the libraries of the image it was built in."""

    def __init__(self, built: BuiltKernel, scratch: Path) -> None:
        scratch.mkdir(parents=True)
        self._libraries = scratch / "usr/lib/x86_64-linux-gnu"
        for layer in image_of(built.pkgtool, TOOL).layers:
            extract = ["tar", "-xzf", layer, "-C", scratch, "--wildcards", "usr/lib/x86_64-linux-gnu/*.so*"]
            subprocess.run(extract, check=True, capture_output=True)
        program = ["--wildcards", "*/scripts/sign-file"]
        subprocess.run(["tar", "-xf", built.unsigned / "kernel-dev.tar", "-C", scratch, *program], check=True)
        (self._program,) = scratch.glob("usr/src/*/scripts/sign-file")

    def sign(self, module: Path, pair: KeyPair) -> None:
        loader = self._libraries / "ld-linux-x86-64.so.2"
        command = [loader, "--library-path", self._libraries, self._program, "sha256"]
        subprocess.run([*command, pair.key, pair.certificate, module], check=True)
