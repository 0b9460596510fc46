"""One kernel from source to ssh: built, signed, verified, booted, and shown every forgery.

All of it is the real thing: Debian's 6.1 source, gcc, QEMU, the kernel's own refusals.
"""

from __future__ import annotations

import subprocess
import tarfile

import pytest

from pkgtool.kernel import modsign, secureboot
from pkgtool.kernel.boot import cpio
from pkgtool.kernel.boot.machine import Machine
from pkgtool.kernel.boot.module_trial import GENUINE, try_modules
from pkgtool.kernel.boot.scenarios import Workload, console_says, login_prompt, ssh
from pkgtool.kernel.identity import open_identity
from pkgtool.kernel.signature import trailer
from pkgtool.kernel.verify import trust_of, verify_archive, verify_modules
from tests.support.kernel import openssl_key_pair, read_archive
from tests.support.kernel_build import EPOCH

pytestmark = [pytest.mark.slow, pytest.mark.network]
SECONDS = 180.0


@pytest.fixture(scope="module")
def identity(built):
    return open_identity(built.pair.certificate, built.pair.key, hash_name="sha256", passphrase=bytes)


@pytest.fixture(scope="module")
def trust(built):
    return trust_of(built.kernel, built.output / "System.map", (built.output / "kernel-config").read_text())


@pytest.fixture(scope="module")
def signed(built, identity, tmp_path_factory):
    target = tmp_path_factory.mktemp("signed") / "kernel.tar"
    modsign.sign_archive(built.output / "kernel.tar", target, identity)
    return target


def test_the_image_has_what_linuxkit_s_has(built):
    names = {path.name for path in built.output.iterdir()}
    assert {"kernel", "System.map", "kernel.tar", "kernel-headers.tar", "kernel-dev.tar", "kernel-source-info"} <= names
    assert {"kernel-config", "kernel-certificate.pem", "kernel-certificate.der", "kernel-modules.sha256"} <= names
    for name in ("kernel.tar", "kernel-headers.tar", "kernel-dev.tar"):
        with tarfile.open(built.output / name) as archive:
            members = archive.getmembers()
        assert [m.name for m in members] == sorted((m.name for m in members), key=lambda n: n.split("/"))
        assert {(m.uid, m.gid, m.mtime) for m in members} == {(0, 0, EPOCH)}
        assert not any(m.mode & 0o022 for m in members if not m.issym())


def test_no_private_key_reaches_the_output(built):
    secret = built.pair.key.read_bytes().splitlines()[3]
    for path in built.output.iterdir():
        assert secret not in path.read_bytes()


def test_the_kernel_trusts_the_certificate_and_no_other(trust, identity):
    assert [c.der for c in trust.certificates.values()] == [identity.certificate.der]
    assert trust.hash == "sha256"


def test_signed_modules_are_verified_and_unsigned_ones_found(built, signed, trust):
    assert verify_archive(signed, trust).findings == ()
    unsigned = verify_archive(built.output / "kernel.tar", trust)
    assert len(unsigned.findings) == unsigned.modules > 0


def test_the_kernel_s_own_sign_file_makes_the_same_bytes(tmp_path, built, signed):
    with tarfile.open(built.output / "kernel-dev.tar") as archive:
        member = next(m for m in archive if m.name.endswith("/scripts/sign-file"))
        (tmp_path / "sign-file").write_bytes(archive.extractfile(member).read())
    (tmp_path / "sign-file").chmod(0o755)
    unsigned, ours = read_archive(built.output / "kernel.tar"), read_archive(signed)
    for path in (p for p in unsigned if p.endswith(".ko")):
        (tmp_path / "m.ko").write_bytes(unsigned[path])
        command = [tmp_path / "sign-file", "sha256", built.pair.key, built.pair.certificate, tmp_path / "m.ko"]
        subprocess.run(command, check=True)
        assert (tmp_path / "m.ko").read_bytes() == ours[path]


def test_the_kernel_loads_the_signed_tg3_and_refuses_every_forgery(built, signed, tools, capsys):
    trial = try_modules(Machine(built.kernel), read_archive(signed), "tg3", tools=tools, seconds=SECONDS)
    trial.require()
    assert [t.variant for t in trial.trials] == ["unsigned", "tampered", "truncated", "foreign", GENUINE]
    said = {t.variant: " ".join(t.said) for t in trial.trials}
    assert "Key was rejected by service" in said["unsigned"]
    assert "Key was rejected by service" in said["tampered"]
    assert "Bad message" in said["truncated"]
    assert "unavailable key" in said["foreign"]
    with capsys.disabled():
        print("", *(f"  {variant}: {line}" for variant, line in said.items()), f"  {trial.listed}", sep="\n")


def test_an_out_of_tree_module_is_built_from_kernel_dev_and_loads(tmp_path, built, identity, trust, tools):
    with tarfile.open(built.output / "kernel-dev.tar") as archive:
        archive.extractall(tmp_path)
    headers = next((tmp_path / "usr/src").iterdir())
    source = tmp_path / "hello"
    source.mkdir()
    (source / "Kbuild").write_text("obj-m := hello.o\n")
    (source / "hello.c").write_text(
        '#include <linux/module.h>\nstatic int __init hello(void) { pr_alert("hello from outside\\n"); return 0; }\n'
        'module_init(hello);\nMODULE_LICENSE("GPL");\n'
    )
    make = ["make", "-C", headers, f"M={source}", "CROSS_COMPILE=x86_64-linux-gnu-", "CC=x86_64-linux-gnu-gcc-12"]
    done = subprocess.run([*make, "modules"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    unsigned = (source / "hello.ko").read_bytes()
    module = unsigned + trailer(identity.signature(unsigned))
    assert verify_modules([("hello.ko", module)], trust).findings == ()
    workload = Workload((cpio.file("hello.ko", module),), "$b insmod /hello.ko\n", tools)
    assert "hello from outside" in console_says(Machine(built.kernel), workload, ["hello from.*"], seconds=SECONDS).said


def test_getty_prompts_on_the_console(built, tools):
    rootfs = (cpio.file("etc/issue", "LinuxKit test\n"), cpio.file("etc/passwd", "root::0:0:root:/:/bin/sh\n"))
    evidence = login_prompt(
        Machine(built.kernel), Workload(rootfs, "$b getty -L 115200 console\n", tools), seconds=SECONDS
    )
    assert "login:" in evidence.said
    print(f"login prompt after {evidence.seconds:.1f} s")


def test_ssh_through_the_guest_s_network_card(tmp_path, built, tools):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id"], check=True)
    rootfs = (
        *program("dropbear"),
        cpio.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        cpio.file("etc/shells", "/bin/sh\n"),
        cpio.link("bin", "usr/bin"),
        cpio.link("lib", "usr/lib"),
        cpio.link("lib64", "usr/lib64"),
        cpio.link("usr/bin/sh", "/pkgtool/busybox"),
        cpio.link("usr/bin/uname", "/pkgtool/busybox"),
        cpio.directory("etc/dropbear"),
        cpio.directory("root", 0o700),
        cpio.directory("root/.ssh", 0o700),
        cpio.file("root/.ssh/authorized_keys", (tmp_path / "id.pub").read_bytes(), 0o600),
    )
    workload = Workload(rootfs, "/usr/sbin/dropbear -R -E -F -s\n", tools)
    evidence = ssh(Machine(built.kernel), workload, "uname -r", key=tmp_path / "id", seconds=SECONDS)
    assert evidence.said == "6.1.192-linuxkit"


def test_vsock_within_the_guest(tmp_path, built, tools):
    (tmp_path / "vsock.c").write_text(VSOCK)
    subprocess.run(["gcc", "-static", "-o", tmp_path / "vsock", tmp_path / "vsock.c"], check=True)
    workload = Workload((cpio.file("vsock", (tmp_path / "vsock").read_bytes(), 0o755),), "/vsock\n", tools)
    assert console_says(Machine(built.kernel), workload, [r"^vsock says .*$"], seconds=SECONDS).said == "vsock says hi"


def test_a_kernel_signed_for_secure_boot(tmp_path, built, tools):
    signature = secureboot.sign(built.kernel, key=built.pair.key, certificate=built.pair.certificate)
    for name in ("one", "two"):
        secureboot.attach(built.kernel, signature, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    secureboot.verify(tmp_path / "one", built.pair.certificate)
    other = openssl_key_pair(tmp_path, "other")
    with pytest.raises(Exception, match="is not signed by"):
        secureboot.verify(tmp_path / "one", other.certificate)
    console_says(Machine(tmp_path / "one"), Workload((), "echo still boots\n", tools), ["still boots"], seconds=SECONDS)


def program(name: str) -> list[cpio.Node]:
    """A program of this machine and the libraries it needs, as its loader finds them."""
    path = subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, text=True, check=True).stdout.strip()
    listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    files = {word for line in listed.splitlines() for word in line.split() if word.startswith("/")}
    return [_node(path), *map(_node, sorted(files))]


def _node(path: str) -> cpio.Node:
    place = path.lstrip("/")
    place = place if place.startswith("usr/") else f"usr/{place}"
    with open(path, "rb") as file:
        return cpio.file(place, file.read(), 0o755)


VSOCK = r"""
#include <stdio.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

/* A server and a client in one process: the connection is accepted by the kernel before accept() asks for it. */
int main(void)
{
    struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_port = 1024, .svm_cid = VMADDR_CID_ANY };
    char text[8] = "";
    int server = socket(AF_VSOCK, SOCK_STREAM, 0), client = socket(AF_VSOCK, SOCK_STREAM, 0), peer;
    if (bind(server, (void *)&a, sizeof a) || listen(server, 1)) { perror("listen"); return 1; }
    a.svm_cid = VMADDR_CID_LOCAL;
    if (connect(client, (void *)&a, sizeof a)) { perror("connect"); return 1; }
    peer = accept(server, 0, 0);
    if (write(client, "hi", 2) != 2 || read(peer, text, 7) != 2) { perror("exchange"); return 1; }
    printf("vsock says %s\n", text);
    return 0;
}
"""
