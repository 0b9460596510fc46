"""Kernels for tests: key pairs, archives of modules, and a kernel image in miniature."""

from __future__ import annotations

import gzip
import io
import random
import struct
import subprocess
import tarfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RELEASE = "6.1.0-test"


@dataclass(frozen=True)
class KeyPair:
    key: Path
    certificate: Path


def openssl_key_pair(directory: Path, name: str, *arguments: str, days: int = 30, nodes: bool = True) -> KeyPair:
    """A key and certificate made by openssl, so that the judge is not our own code."""
    directory.mkdir(parents=True, exist_ok=True)
    pair = KeyPair(directory / f"{name}.key", directory / f"{name}.pem")
    subprocess.run(
        ["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", *(["-nodes"] if nodes else []), "-sha256",
         "-days", str(days),
         "-subj", f"/O=Tests/CN={name}", "-keyout", pair.key, "-out", pair.certificate, *arguments],
        check=True, capture_output=True,
    )  # fmt: skip
    return pair


def expired_key_pair(directory: Path) -> KeyPair:
    """A pair whose certificate ended in 2020 (this openssl can't be told so)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "expired")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2019, 1, 1), datetime(2020, 1, 2))
    certificate = builder.sign(key, hashes.SHA256())
    pair = KeyPair(directory / "expired.key", directory / "expired.pem")
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    pair.key.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    pair.certificate.write_bytes(certificate.public_bytes(encoding))
    return pair


def modules(count: int, *, size: int = 4000, seed: int = 1) -> dict[str, bytes]:
    """Reproducible contents that look like modules by name and nothing else."""
    source = random.Random(seed)
    base = f"lib/modules/{RELEASE}/kernel/drivers"
    return {f"{base}/m{n // 100}/m{n:05}.ko": source.randbytes(size + n % 700) for n in range(count)}


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    """A kernel.tar with these files, directories, a long name and a symbolic link, as GNU tar writes one."""
    with tarfile.open(path, "w:", format=tarfile.GNU_FORMAT) as archive:
        top = tarfile.TarInfo(f"lib/modules/{RELEASE}")
        top.type, top.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(top)
        build = tarfile.TarInfo(f"lib/modules/{RELEASE}/build")
        build.type, build.linkname = tarfile.SYMTYPE, f"/usr/src/linux-headers-{RELEASE}"
        archive.addfile(build)
        for name, content in {**files, f"lib/modules/{RELEASE}/modules.dep": b"\n"}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), 0o644, 1577836800
            archive.addfile(member, io.BytesIO(content))
    return path


def read_archive(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isreg()}


def miniature_kernel(directory: Path, *certificates: bytes, compress: object = gzip.compress) -> tuple[Path, Path]:
    """A bzImage and its System.map that hold a list of certificates where a real kernel has it."""
    address = 0xFFFFFFFF82000000
    content = b"".join(certificates)
    padded = content + bytes(-len(content) % 8)
    data = padded + struct.pack("<Q", len(content))
    header = (
        (b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + struct.pack("<H", 62)).ljust(32, b"\0")
        + struct.pack("<Q", 64)
        + bytes(14)
        + struct.pack("<HH", 56, 1)
    )
    program = struct.pack("<IIQQQQQQ", 1, 5, 4096, address, address, len(data), len(data), 4096)
    elf = (header.ljust(64, b"\0") + program).ljust(4096, b"\0") + data
    payload = compress(elf) + struct.pack("<I", len(elf))
    boot = bytearray(1024)
    boot[0x1F1] = 1
    boot[0x1FE:0x200] = b"\x55\xaa"
    boot[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", boot, 0x248, 16, len(payload))
    kernel, symbols = directory / "kernel", directory / "System.map"
    kernel.write_bytes(bytes(boot) + bytes(16) + payload)
    symbols.write_text(
        f"{address:016x} r system_certificate_list\n{address + len(padded):016x} R system_certificate_list_size\n"
    )
    return kernel, symbols
