"""The trial of modules without a guest: its forgeries, its loading order, and how a console is read."""

from __future__ import annotations

import sys

import pytest

from pkgtool.errors import KernelError, ToolMissing
from pkgtool.kernel.boot.guest import BootFailed
from pkgtool.kernel.boot.initramfs import busybox, initramfs, is_static
from pkgtool.kernel.boot.module_trial import GENUINE, ModuleTrial, Trial, _read, dependencies, forgeries
from pkgtool.kernel.signature import trailer
from pkgtool.kernel.verify import Refusal, Trust, verify_modules
from tests.support.kernel import miniature_kernel

CONTENT = b"\x7fELF" + bytes(range(256)) * 8


def test_every_forgery_is_one(identity):
    genuine = CONTENT + trailer(identity.signature(CONTENT))
    made = forgeries(genuine)
    trust = Trust({identity.certificate.signer: identity.certificate}, "sha256")
    assert verify_modules([("genuine", genuine)], trust).findings == ()
    assert {f.path: f.refusal for f in verify_modules(made.items(), trust).findings} == {
        "unsigned": Refusal.UNSIGNED,
        "tampered": Refusal.CHANGED,
        "truncated": Refusal.DAMAGED,
        "foreign": Refusal.FOREIGN,
    }
    with pytest.raises(KernelError, match="is not signed"):
        forgeries(CONTENT)


def test_what_a_module_needs_comes_first():
    base = "lib/modules/6.1"
    table = b"kernel/a.ko:\nkernel/b.ko: kernel/a.ko\nkernel/my-tg3.ko: kernel/b.ko kernel/a.ko\n"
    files = {f"{base}/modules.dep": table}
    assert dependencies(files, "my_tg3") == [f"{base}/kernel/{name}.ko" for name in ("a", "b", "my-tg3")]
    with pytest.raises(KernelError, match="no module e1000"):
        dependencies(files, "e1000")
    with pytest.raises(KernelError, match=r"no modules\.dep"):
        dependencies({}, "tg3")


CONSOLE = """\
Run /init
pkgtool case unsigned
Loading of unsigned module is rejected
insmod: can't insert '/modules/unsigned.ko': Key was rejected by service
pkgtool case unsigned status 129
pkgtool case signed
pkgtool case signed status 0
pkgtool list: tg3 192512 0 - Live 0xffffffffc0399000
"""


def test_a_console_is_read():
    trial = _read(CONSOLE, "tg3", ["unsigned", "signed"], 1.0)
    assert [(t.variant, t.loaded) for t in trial.trials] == [("unsigned", False), ("signed", True)]
    assert trial.trials[0].said[1].endswith("Key was rejected by service")
    assert trial.listed.startswith("tg3 ")
    trial.require()
    with pytest.raises(BootFailed, match="did not try the foreign module"):
        _read(CONSOLE, "tg3", ["foreign"], 1.0)


@pytest.mark.parametrize(
    ("trials", "listed"),
    [
        ((Trial(GENUINE, False, ()),), "tg3"),
        ((Trial(GENUINE, True, ()), Trial("foreign", True, ())), "tg3"),
        ((Trial(GENUINE, True, ()),), ""),
        ((), "tg3"),
    ],
)
def test_a_kernel_that_judges_wrongly_fails(trials, listed):
    with pytest.raises(BootFailed, match="does not judge tg3 as it should"):
        ModuleTrial("tg3", trials, listed, "", 1.0).require()


def test_static_programs_are_told_from_dynamic_ones(tmp_path):
    with open(sys.executable, "rb") as file:
        assert not is_static(file.read(), "amd64")
    kernel, _ = miniature_kernel(tmp_path, b"0" * 8, compress=bytes)
    program = kernel.read_bytes()[1040:]
    assert is_static(program, "amd64")
    assert not is_static(program, "arm64")
    assert not is_static(b"#!/bin/sh\n", "amd64")


def test_a_guest_of_another_platform_needs_its_own_busybox(tmp_path):
    kernel, _ = miniature_kernel(tmp_path, b"0" * 8, compress=bytes)
    (tmp_path / "busybox").write_bytes(kernel.read_bytes()[1040:])
    assert busybox("amd64", tmp_path / "busybox") == tmp_path / "busybox"
    with pytest.raises(ToolMissing, match="no static busybox for arm64") as raised:
        busybox("arm64", tmp_path / "busybox")
    assert "--busybox" in str(raised.value.hint)


def test_the_rootfs_keeps_its_files_beside_the_tools(tmp_path):
    (tmp_path / "busybox").write_bytes(b"tool")
    paths = {node.path for node in initramfs([], "true\n", tools=tmp_path / "busybox")}
    assert paths == {"init", "pkgtool/busybox", "pkgtool/run"}
