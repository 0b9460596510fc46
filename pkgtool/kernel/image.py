"""Inside a kernel image: the uncompressed kernel, and the certificates it trusts.

Formats: Documentation/x86/boot.rst (bzImage's header), Documentation/arm64/booting.rst (Image),
drivers/firmware/efi/libstub/zboot-header.S (EFI zboot), certs/system_certificates.S (the list of certificates).
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pkgtool.errors import KernelError
from pkgtool.kernel import der
from pkgtool.kernel.identity import Certificate, KeyUnusable, parse_certificate

_ELF = b"\x7fELF"
_GZIP = b"\x1f\x8b"
_LIST, _LIST_SIZE = "system_certificate_list", "system_certificate_list_size"


@dataclass(frozen=True, slots=True)
class _Segment:
    """A stretch of the kernel: `offset` in the file, loaded at `address`."""

    address: int
    offset: int
    size: int


def certificates_in(kernel: bytes, system_map: str) -> tuple[Certificate, ...]:
    """The certificates compiled into a kernel image, at the place that its System.map names.

    Raises `KernelError` if the image can't be unpacked, has no such list, or does not fit the System.map.
    """
    raw = uncompressed(kernel)
    symbols = _symbols(system_map, {_LIST, _LIST_SIZE, "_text"})
    if _LIST not in symbols or _LIST_SIZE not in symbols:
        raise KernelError(
            "this kernel has no list of trusted certificates",
            hint="it was built without SYSTEM_TRUSTED_KEYRING; see kernel/config/security.config",
        )
    segments = _segments(raw, symbols)
    size = struct.unpack("<Q", _read(raw, segments, symbols[_LIST_SIZE], 8))[0]
    if size > 1 << 20:
        raise KernelError("the kernel does not fit its System.map: its list of certificates would be too large")
    content = _read(raw, segments, symbols[_LIST], size)
    reader, found = der.Reader(content), []
    try:
        while reader:
            found.append(parse_certificate(reader.raw(der.SEQUENCE), what="a certificate inside the kernel"))
    except (ValueError, KeyUnusable) as problem:
        raise KernelError("the kernel does not fit its System.map: there is no list of certificates") from problem
    return tuple(found)


def uncompressed(kernel: bytes) -> bytes:
    """vmlinux (ELF) or arm64's Image out of bzImage, Image.gz, an EFI zboot image, or as it is."""
    if kernel.startswith(_ELF) or kernel[0x38:0x3C] == b"ARM\x64":
        return kernel
    if kernel.startswith(_GZIP):
        return uncompressed(_decompressed(kernel))
    if kernel[:2] == b"MZ" and kernel[4:8] == b"zimg":
        offset, size = struct.unpack_from("<II", kernel, 8)
        return uncompressed(_decompressed(kernel[offset : offset + size]))
    if kernel[0x1FE:0x200] == b"\x55\xaa" and kernel[0x202:0x206] == b"HdrS":
        return uncompressed(_decompressed(_bzimage_payload(kernel)))
    raise KernelError("this is no kernel image of a known kind: neither bzImage nor arm64 Image nor vmlinux")


def _bzimage_payload(kernel: bytes) -> bytes:
    setup_sectors = kernel[0x1F1] or 4
    offset, length = struct.unpack_from("<II", kernel, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    if not length or start + length > len(kernel):
        raise KernelError("the bzImage is cut off, or older than boot protocol 2.08")
    return kernel[start : start + length]


def _decompressed(payload: bytes) -> bytes:
    """The payload by its magic. Kbuild puts four bytes with the size behind it, so trailing bytes are ignored."""
    decoders: Mapping[bytes, Callable[[bytes], bytes]] = {
        _GZIP: lambda data: zlib.decompressobj(31).decompress(data),
        b"\xfd7zXZ\0": lambda data: lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data),
        b"]\0\0": lambda data: lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(data),
        b"BZh": lambda data: bz2.BZ2Decompressor().decompress(data),
        b"\x28\xb5\x2f\xfd": _zstd,
    }
    for magic, decode in decoders.items():
        if payload.startswith(magic):
            try:
                return decode(payload)
            except (zlib.error, lzma.LZMAError, OSError) as problem:
                raise KernelError(f"the kernel's payload can't be unpacked: {problem}") from problem
    if payload.startswith(_ELF):
        return payload
    raise KernelError("the kernel's payload has an unknown compression", hint="build with CONFIG_KERNEL_GZIP")


def _zstd(payload: bytes) -> bytes:
    from pkgtool import process

    # zstd complains of the four bytes of size after it has written all of the kernel.
    return process.run(["zstd", "-dcq"], why="unpack this kernel", stdin=payload, accept=(0, 1)).output


def _symbols(system_map: str, wanted: set[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in system_map.splitlines():
        address, _, rest = line.partition(" ")
        name = rest[2:]
        if name in wanted:
            found[name] = int(address, 16)
    return found


def _segments(raw: bytes, symbols: Mapping[str, int]) -> list[_Segment]:
    if not raw.startswith(_ELF):
        if "_text" not in symbols:
            raise KernelError("the System.map has no symbol _text")
        return [_Segment(symbols["_text"], 0, len(raw))]
    offset, size, count = (
        struct.unpack_from("<Q", raw, 32)[0],
        *struct.unpack_from("<HH", raw, 54),
    )
    segments = []
    for index in range(count):
        kind, _, file_offset, address, _, file_size = struct.unpack_from("<IIQQQQ", raw, offset + index * size)
        if kind == 1:
            segments.append(_Segment(address, file_offset, file_size))
    return segments


def _read(raw: bytes, segments: list[_Segment], address: int, size: int) -> bytes:
    for segment in segments:
        if segment.address <= address and address + size <= segment.address + segment.size:
            start = segment.offset + address - segment.address
            return raw[start : start + size]
    raise KernelError("the kernel does not fit its System.map: an address lies outside it")
