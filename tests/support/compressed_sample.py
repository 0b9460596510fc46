"""Content as layers have it, words and noise, compressed as layers are; run as a program it prints the digest.

It needs nothing but Python, `pkgtool.oci.canonical.gzip_members` and libdeflate, so other processors can run it too.
"""

from __future__ import annotations

import hashlib

from pkgtool.oci.canonical.gzip_members import MEMBER, GzipMembers

DIGEST = "732004052e43f9e57f1e2af2508d283dd7fd50e22ad7f1ab4c4d3c2a603e7fd6"
"""sha256 of the compressed sample, on every processor. Another one is another image format."""


def content() -> bytes:
    """Seventeen members, the last of them a short one; the same everywhere."""
    words = "".join(f"usr/share/{n % 977:x}/{n * n % 9973}.conf {n:o}\n" for n in range(80_000)).encode()
    noise = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(20_000))
    return words[:1_000_000] + noise + words + bytes(300_000)


def compressed(data: bytes, *, at_once: int = 4) -> bytes:
    """The content, put in pieces of so many members."""
    piece = at_once * MEMBER
    written: list[bytes] = []
    with GzipMembers(written.append) as members:
        for start in range(0, len(data), piece):
            members.put(data[start : start + piece])
    return b"".join(written)


def digest() -> str:
    return hashlib.sha256(compressed(content())).hexdigest()


if __name__ == "__main__":
    print(digest())
