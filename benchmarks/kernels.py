#!/usr/bin/env python3
"""Signing and verifying 4,000 modules, against the kernel's own sign-file in a loop; a rebuild with a warm ccache.

    benchmarks/kernels.py [--modules N] [--bits N] [--sign-file PROGRAM]
    benchmarks/kernels.py --rebuild SOURCE VERSION    (a linux tarball or tree; takes two builds)

Prints times in seconds and the ratios that must hold: signing at most 1/4 of the loop, verifying under 2 s, a rebuild
after a change of one configuration symbol at most 1/3 of a clean build.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pkgtool.kernel import modsign
from pkgtool.kernel.identity import open_identity
from pkgtool.kernel.verify import trust_of, verify_archive
from tests.support.kernel import ROOT, miniature_kernel, modules, openssl_key_pair, write_archive

_SMALL = "base small tg3 security signing-sha256"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", type=int, default=4000)
    parser.add_argument("--size", type=int, default=40_000, help="bytes of a module, about")
    parser.add_argument("--bits", type=int, default=2048)
    parser.add_argument("--sign-file", type=Path, help="default: Debian's linux-kbuild package's")
    parser.add_argument("--rebuild", nargs=2, metavar=("SOURCE", "VERSION"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pkgtool-benchmark-") as directory:
        return rebuild(Path(directory), *options.rebuild) if options.rebuild else signing(Path(directory), options)


def signing(scratch: Path, options: argparse.Namespace) -> int:
    program = options.sign_file or next(Path("/usr/lib").glob("linux-kbuild-*/scripts/sign-file"), None)
    if program is None:
        sys.exit("sign-file is needed to compare with: apt-get install linux-kbuild-6.1, or --sign-file PROGRAM")
    pair = openssl_key_pair(scratch, "benchmark", "-newkey", f"rsa:{options.bits}")
    identity = open_identity(pair.certificate, pair.key, hash_name="sha256", passphrase=bytes)
    files = modules(options.modules, size=options.size)
    unsigned, signed = write_archive(scratch / "unsigned.tar", files), scratch / "signed.tar"
    trust = trust_of(*miniature_kernel(scratch, identity.certificate.der))

    ours = timed(lambda: modsign.sign_archive(unsigned, signed, identity))
    verifying = timed(lambda: verify_archive(signed, trust).require())

    paths = [scratch / "loop" / Path(name).name for name in files]
    (scratch / "loop").mkdir()
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content)

    def loop() -> None:
        for path in paths:
            subprocess.run([program, "sha256", pair.key, pair.certificate, path], check=True)

    theirs = timed(loop)
    print(
        f"{options.modules} modules, {unsigned.stat().st_size / 1e6:.0f} MB, RSA {options.bits}, {os.cpu_count()} CPUs"
    )
    print(f"signing: {ours:.2f} s; sign-file in a loop: {theirs:.2f} s; ratio {ours / theirs:.3f} (at most 0.25)")
    print(f"verifying: {verifying:.2f} s (at most 2)")
    return 0 if ours / theirs <= 0.25 and verifying < 2 else 1


def rebuild(scratch: Path, source: str, version: str) -> int:
    """A clean build fills the cache; then one symbol changes."""
    pair = openssl_key_pair(scratch, "benchmark")
    shutil.copytree(ROOT / "kernel", scratch / "kernel")
    fragment = scratch / "kernel/config/small.config"
    clean = timed(lambda: build(scratch, source, version, pair.certificate))
    fragment.write_text(fragment.read_text() + "CONFIG_DUMMY=m\n")
    warm = timed(lambda: build(scratch, source, version, pair.certificate))
    print(
        f"clean build: {clean:.0f} s; rebuild with a warm ccache: {warm:.0f} s; ratio {warm / clean:.2f} (at most 0.33)"
    )
    return 0 if warm / clean <= 1 / 3 else 1


def build(scratch: Path, source: str, version: str, certificate: Path) -> None:
    settings = {
        "KERNEL_SOURCE": source,
        "KERNEL_VERSION": version,
        "KERNEL_FRAGMENTS": _SMALL,
        "KERNEL_CERTIFICATE": str(certificate),
        "KERNEL_ARCH": "amd64",
        "KERNEL_COMPILER": "gcc-12",
        "KERNEL_WORK": str(scratch / "work"),
        "KERNEL_OUTPUT": str(scratch / "out"),
        "KERNEL_CCACHE": str(scratch / "ccache"),
        "SOURCE_DATE_EPOCH": "1577836800",
    }
    with (scratch / "log").open("wb") as log:
        subprocess.run(
            ["sh", scratch / "kernel/build/build.sh"],
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
            check=True,
        )


def timed(work) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
