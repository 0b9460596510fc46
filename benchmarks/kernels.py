#!/usr/bin/env python3
"""Signing and verifying 4,000 modules, against the kernel's own sign-file in a loop.

    benchmarks/kernels.py [--modules N] [--size BYTES] [--bits N]

Prints times in seconds, and what must hold: signing takes at most 1/4 of the loop, verifying less than 2 s. sign-file
is that of the small kernel, which is built if the store does not have it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pkgtool.kernel import modsign
from pkgtool.kernel.identity import open_identity
from pkgtool.kernel.verify import trust_of, verify_archive
from tests.support import built_kernel
from tests.support.built_kernel import SignFile
from tests.support.kernel import miniature_kernel, modules, openssl_key_pair, write_archive
from tests.support.project_store import project


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", type=int, default=4000)
    parser.add_argument("--size", type=int, default=40_000, help="bytes of a module, about")
    parser.add_argument("--bits", type=int, default=2048)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pkgtool-benchmark-") as directory:
        return signing(Path(directory), options)


def signing(scratch: Path, options: argparse.Namespace) -> int:
    pair = openssl_key_pair(scratch, "benchmark", "-newkey", f"rsa:{options.bits}")
    identity = open_identity(pair.certificate, pair.key, hash_name="sha256", passphrase=bytes)
    files = modules(options.modules, size=options.size)
    unsigned, signed = write_archive(scratch / "unsigned.tar", files), scratch / "signed.tar"
    trust = trust_of(*miniature_kernel(scratch, identity.certificate.der))

    ours = timed(lambda: modsign.sign_archive(unsigned, signed, identity))
    verifying = timed(lambda: verify_archive(signed, trust).require())

    sign_file = SignFile(built_kernel.build(project(), scratch / "small-kernel"), scratch / "sign-file")
    paths = [scratch / "loop" / Path(name).name for name in files]
    (scratch / "loop").mkdir()
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content)

    def loop() -> None:
        for path in paths:
            sign_file.sign(path, pair)

    theirs = timed(loop)
    print(
        f"{options.modules} modules, {unsigned.stat().st_size / 1e6:.0f} MB, RSA {options.bits}, {os.cpu_count()} CPUs"
    )
    print(f"signing: {ours:.2f} s; sign-file in a loop: {theirs:.2f} s; ratio {ours / theirs:.3f} (at most 0.25)")
    print(f"verifying: {verifying:.2f} s (at most 2)")
    return 0 if ours / theirs <= 0.25 and verifying < 2 else 1


def timed(work) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
