"""No network but loopback, for this process and everything it starts: what works here works in a closed room."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1


@contextmanager
def no_network() -> Iterator[None]:
    """Move the calling thread, and what it starts from now on, into a network namespace of its own.

    That takes the right to make one (root, or `unshare --map-root-user` around the tests); whoever lacks it is told.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET):
            reason = os.strerror(ctypes.get_errno())
            raise RuntimeError(f"no network namespace: {reason}; run the tests as root or under 'unshare -rn'")
        try:
            _raise_loopback()
            yield
        finally:
            if libc.setns(before, _CLONE_NEWNET):
                raise RuntimeError(f"can't go back to the network: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(before)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh", b"lo", 0)
        (flags,) = struct.unpack("16xh", fcntl.ioctl(control, _SIOCGIFFLAGS, request)[:18])
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | _IFF_UP))
