"""What an image's files say."""

from __future__ import annotations

import os

import pytest

from pkgtool.errors import KernelError
from pkgtool.kernel.boot.attach import LEAVE, attach
from pkgtool.kernel.facts import read_facts
from pkgtool.values import Digest


def test_an_image_says_what_it_is(tmp_path, identity):
    (tmp_path / "kernel-certificate.der").write_bytes(identity.certificate.der)
    (tmp_path / "kernel-config").write_text("CONFIG_A=y\n")
    info = tmp_path / "kernel-source-info"
    info.write_text(
        "KERNEL_SOURCE=https://x/linux.tar.xz sha256:00\nKERNEL_VERSION=6.1.9\nKERNEL_RELEASE=6.1.9-linuxkit\n"
    )
    facts = read_facts(tmp_path)
    assert (facts.version, facts.release) == ("6.1.9", "6.1.9-linuxkit")
    assert facts.source == "https://x/linux.tar.xz sha256:00"
    assert facts.config == Digest.of(b"CONFIG_A=y\n")
    assert facts.certificate.common_name == "modules"
    info.write_text("KERNEL_VERSION=6.1.9\n")
    with pytest.raises(KernelError, match="does not say KERNEL_SOURCE, KERNEL_RELEASE"):
        read_facts(tmp_path)


def test_other_directories_are_no_kernel_images(tmp_path):
    with pytest.raises(KernelError, match="no kernel image"):
        read_facts(tmp_path)


class Recorder:
    ended = False

    def __init__(self):
        self.typed = ""

    def send(self, text):
        self.typed += text


@pytest.mark.parametrize("end", [LEAVE, b""])
def test_typing_ends_with_the_key_or_the_file(end):
    ours, theirs = os.pipe()
    os.write(theirs, b"ls\n" + end)
    os.close(theirs)
    guest = Recorder()
    attach(guest, ours)
    os.close(ours)
    assert guest.typed == "ls\n"
