"""One kernel from source to ssh: built, signed, verified, booted with the tree's packages, shown every forgery.

All of it is the real thing: Debian's 6.1 source, gcc, QEMU, the kernel's own refusals.
"""

from __future__ import annotations

import json
import subprocess
import tarfile

import pytest

from pkgtool.kernel import secureboot
from pkgtool.kernel.boot.machine import Machine
from pkgtool.kernel.boot.module_trial import GENUINE, forgeries
from pkgtool.kernel.boot.scenarios import Workload, console_says
from pkgtool.kernel.verify import trust_of
from tests.support.built_kernel import EPOCH, NAME, SERIES, SignFile
from tests.support.kernel import openssl_key_pair, read_archive

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.engine, pytest.mark.xdist_group("kernel")]
SECONDS = 300.0


@pytest.fixture(scope="module")
def proven(built) -> dict[str, dict]:
    """What `pkgtool kernel boot --test` saw, by proof. It fails by itself if one of them does not come out."""
    call = ("kernel", "boot", SERIES, "--test", "--json", "--progress", "plain", "--seconds", str(SECONDS))
    shown = built.pkgtool.run(*call, timeout=4 * SECONDS).ok().json
    assert shown["kernel"] == NAME
    assert shown["left_out"] == []
    return {proof["what"]: proof for proof in shown["proofs"]}


def show(capsys, proof: dict) -> str:
    """The kernel's own words, into the log of the run; and all of them as one text."""
    with capsys.disabled():
        print("", f"{proof['what']} ({proof['seconds']:.1f} s)", *proof["said"], sep="\n    ")
    return "\n".join(proof["said"])


def test_the_image_has_what_linuxkit_s_has(built):
    names = {path.name for path in built.signed.iterdir()}
    assert {"kernel", "System.map", "kernel.tar", "kernel-headers.tar", "kernel-dev.tar", "kernel-source-info"} <= names
    assert {"kernel-config", "kernel-certificate.pem", "kernel-certificate.der", "kernel-modules.json"} <= names
    for name in ("kernel.tar", "kernel-headers.tar", "kernel-dev.tar"):
        with tarfile.open(built.signed / name) as archive:
            members = archive.getmembers()
        assert [m.name for m in members] == sorted((m.name for m in members), key=lambda n: n.split("/"))
        assert {(m.uid, m.gid, m.mtime) for m in members} == {(0, 0, EPOCH)}
        assert not any(m.mode & 0o022 for m in members if not m.issym())


def test_no_private_key_reaches_an_image(built):
    secret = built.pair.key.read_bytes().splitlines()[3]
    for path in (*built.unsigned.iterdir(), *built.signed.iterdir()):
        assert secret not in path.read_bytes()


def test_the_kernel_trusts_this_checkout_s_key_and_says_what_it_is(built):
    configuration = (built.signed / "kernel-config").read_text()
    trust = trust_of(built.kernel, built.signed / "System.map", configuration)
    (certificate,) = trust.certificates.values()
    assert certificate.for_development
    assert certificate.common_name.startswith("development ")
    assert trust.hash == "sha256"


def test_verify_accepts_the_signed_and_finds_every_unsigned_module(built):
    (good,) = built.pkgtool.run("kernel", "verify", SERIES, "--json").ok().json
    assert good["refused"] == []
    assert good["modules"] > 0
    bad = built.pkgtool.run("kernel", "verify", str(built.unsigned), "--json")
    assert bad.code != 0
    assert {m["why"] for m in json.loads(bad.out)[0]["refused"]} == {"unsigned"}
    assert len(json.loads(bad.out)[0]["refused"]) == good["modules"]


def test_verify_and_the_booted_kernel_refuse_the_same_forgeries(built, proven, tmp_path, capsys):
    tg3 = next(content for path, content in read_archive(built.signed / "kernel.tar").items() if "tg3.ko" in path)
    options = []
    for variant, content in forgeries(tg3).items():
        (tmp_path / f"{variant}.ko").write_bytes(content)
        options += ["--module", str(tmp_path / f"{variant}.ko")]
    found = json.loads(built.pkgtool.run("kernel", "verify", SERIES, "--json", *options).out)[0]["refused"]
    assert {m["module"].rpartition("/")[2]: m["why"] for m in found} == {
        "unsigned.ko": "unsigned", "tampered.ko": "changed", "truncated.ko": "damaged", "foreign.ko": "foreign",
    }  # fmt: skip

    said = dict(line.partition(": ")[::2] for line in proven["signed tg3 loads, forgeries are refused"]["said"])
    show(capsys, proven["signed tg3 loads, forgeries are refused"])
    assert "Key was rejected by service" in said["unsigned"]
    assert "Key was rejected by service" in said["tampered"]
    assert "Bad message" in said["truncated"]
    assert "unavailable key" in said["foreign"]
    assert said[GENUINE] == "loaded"


def test_the_kernel_s_own_sign_file_makes_the_same_bytes(tmp_path, built):
    sign_file = SignFile(built, tmp_path / "image")
    unsigned, ours = read_archive(built.unsigned / "kernel.tar"), read_archive(built.signed / "kernel.tar")
    for path in (p for p in unsigned if p.endswith(".ko")):
        (tmp_path / "m.ko").write_bytes(unsigned[path])
        sign_file.sign(tmp_path / "m.ko", built.pair)
        assert (tmp_path / "m.ko").read_bytes() == ours[path]


def test_the_getty_package_prompts_on_the_console(proven, capsys):
    assert "login:" in show(capsys, proven["getty prompts on the console"])


def test_the_sshd_package_is_reached_through_the_guest_s_network_card(proven, capsys):
    assert "6.1.192-linuxkit" in show(capsys, proven["ssh reaches sshd"])


def test_the_forwarding_packages_forward_over_vsock(proven, capsys):
    said = show(capsys, proven["vsudd and vpnkit-forwarder forward over vsock"])
    assert "vsudd answered: HELLO THROUGH VSOCK" in said
    assert "vpnkit-forwarder answered: HELLO THROUGH VSOCK" in said


def test_a_kernel_signed_for_secure_boot_still_boots(tmp_path, built, tools):
    pair = openssl_key_pair(tmp_path, "firmware")
    signature = secureboot.sign(built.kernel, key=pair.key, certificate=pair.certificate)
    for name in ("one", "two"):
        secureboot.attach(built.kernel, signature, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    secureboot.verify(tmp_path / "one", pair.certificate)
    other = openssl_key_pair(tmp_path, "other")
    with pytest.raises(Exception, match="is not signed by"):
        secureboot.verify(tmp_path / "one", other.certificate)
    console_says(Machine(tmp_path / "one"), Workload((), "echo still boots\n", tools), ["still boots"], seconds=SECONDS)


def test_openssl_accepts_a_module_s_detached_signature(built, tmp_path):
    built.pkgtool.run("kernel", "sign", SERIES, "--detach", str(tmp_path / "signatures.tar")).ok()
    path, content = next((p, c) for p, c in read_archive(built.unsigned / "kernel.tar").items() if "tg3.ko" in p)
    (tmp_path / "tg3.ko").write_bytes(content)
    (tmp_path / "tg3.p7s").write_bytes(read_archive(tmp_path / "signatures.tar")[f"{path}.p7s"])
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-noverify"]
    command += ["-certfile", built.pair.certificate, "-in", tmp_path / "tg3.p7s", "-content", tmp_path / "tg3.ko"]
    subprocess.run([*command, "-out", "/dev/null"], check=True, capture_output=True)
