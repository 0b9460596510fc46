"""Keys that never enter pkgtool: a PKCS#11 token and an ssh-agent sign a whole image, and cosign accepts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey as PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pkgtool import programs
from pkgtool.errors import SigningError
from pkgtool.oci.registry.repository import RegistryRepository
from pkgtool.signing import publish
from pkgtool.signing.attestor import KeyAttestor
from pkgtool.signing.keys import cosign_key, open_public_key, open_signer
from pkgtool.signing.keys.signer import Signer
from pkgtool.signing.public_key import Algorithm
from pkgtool.signing.statements.statement import SPDX
from tests.integration.signing.conftest import Cosign, Tools
from tests.support.command_line import CommandLine
from tests.support.published import Published, Workshop
from tests.support.registry.registries import docker_registry
from tests.support.signing import new_private_key, push_image, statement

pytestmark = pytest.mark.xdist_group("signing keys")
Done = subprocess.CompletedProcess[bytes]
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
PIN = "271828"
KINDS = {"p256": "EC:prime256v1", "p384": "EC:secp384r1", "rsa": "rsa:2048", "ed25519": "EC:edwards25519"}


def require(program: str, package: str) -> str:
    found = programs.find(program)
    if found is None:
        raise RuntimeError(f"{program} is not installed: sudo apt-get install {package}")
    return found


@pytest.fixture(scope="module")
def module() -> str:
    found = next((path for path in MODULES if Path(path).exists()), None)
    if found is None:
        raise RuntimeError("SoftHSM is not installed: sudo apt-get install softhsm2")
    return found


@pytest.fixture(scope="module")
def token(module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SoftHSM token with one key pair of each kind; gives the beginning of its URIs."""
    directory = tmp_path_factory.mktemp("softhsm")
    (directory / "tokens").mkdir()
    (directory / "softhsm2.conf").write_text(f"directories.tokendir = {directory}/tokens\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(directory / "softhsm2.conf")
    initialise = f"{require('softhsm2-util', 'softhsm2')} --init-token --free --label release --so-pin 1234 --pin {PIN}"
    subprocess.run(initialise.split(), check=True, capture_output=True)
    for name, kind in KINDS.items():
        tool = require("pkcs11-tool", "opensc")
        command = f"{tool} --module {module} --login --pin {PIN} --keypairgen --key-type {kind} --label {name}"
        subprocess.run(command.split(), check=True, capture_output=True)
    yield "pkcs11:token=release"
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture
def pin(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setenv("PKGTOOL_KEY_PIN", PIN)
    monkeypatch.setenv("PKGTOOL_PKCS11_MODULE", module)


def sign_release(repository: RegistryRepository, signer: Signer, cosign: Cosign) -> None:
    push_image(repository, "v1")
    attestor = KeyAttestor(signer)
    subjects = publish.targets(repository, "v1")
    for subject in subjects:
        publish.sign(repository, subject, attestor)
        publish.attest(repository, subject, statement(subject, SPDX), attestor)
    Path("ours.pub").write_text(signer.public_key.pem)
    options = ("--key", "ours.pub", "--insecure-ignore-tlog")
    for subject in subjects:
        reference = f"{repository.name}@{subject.digest}"
        cosign("verify", *options, reference)
        cosign("verify", *options, "--new-bundle-format=false", reference)
        cosign("verify-attestation", *options, "--type", "spdxjson", reference)


@pytest.mark.parametrize("host", ["fallback tags"], indirect=True)
@pytest.mark.usefixtures("pin")
@pytest.mark.parametrize("name", list(KINDS))
def test_a_token_signs_a_release(repository: RegistryRepository, cosign: Cosign, token: str, name: str) -> None:
    signer = open_signer(f"{token};object={name}")
    assert open_public_key(f"{token};object={name}") == signer.public_key
    sign_release(repository, signer, cosign)


def test_the_pin_may_lie_in_a_file(token: str, module: str, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(f"{PIN}\n")
    signer = open_signer(f"{token};object=p256?module-path={module}&pin-source=file:{tmp_path}/pin")
    assert signer.public_key.verifies(signer.sign(b"m"), b"m")


@pytest.mark.usefixtures("pin")
@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("pkcs11:token=other;object=p256", "no token matches"),
        ("pkcs11:token=release;object=absent", "has no such private key"),
        ("pkcs11:token=release", "matching private key"),
        ("pkcs11:token=release;object=p256?module-path=/absent.so", "can't be loaded"),
    ],
)
def test_what_is_not_on_the_token(token: str, uri: str, words: str) -> None:
    with pytest.raises(SigningError, match=words):
        open_signer(uri)


def test_a_wrong_pin(token: str, module: str) -> None:
    """In a process of its own: a token that is logged in stays so for the whole process."""
    program = "import sys; from pkgtool.signing.keys import open_signer; open_signer(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PKGTOOL_KEY_PIN": "000000"}
    uri = f"{token};object=p256?module-path={module}"
    done = subprocess.run([sys.executable, "-c", program, uri], env=environment, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith("SigningError: the PIN of p256 on the token release is wrong")


# -- ssh-agent ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An ssh-agent with a key of each kind; the key files are removed, so only the agent has them."""
    directory = tmp_path_factory.mktemp("agent")
    socket = directory / "socket"
    process = subprocess.Popen(
        [require("ssh-agent", "openssh-client"), "-D", "-a", str(socket)], stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < deadline, "the ssh-agent did not start"
            time.sleep(0.02)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
        for kind, bits in (("ecdsa", "256"), ("ecdsa", "384"), ("ed25519", ""), ("rsa", "3072")):
            name = f"{kind}{bits}@release"
            size = ["-b", bits] if bits else []
            make = ["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", name, "-f", str(directory / "key")]
            subprocess.run(make, check=True)
            subprocess.run(["ssh-add", "-q", str(directory / "key")], check=True, env=environment)
            (directory / "key").unlink()
            (directory / "key.pub").unlink()
        yield socket
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def agent_socket(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))


@pytest.mark.parametrize("host", ["fallback tags"], indirect=True)
@pytest.mark.usefixtures("agent_socket")
@pytest.mark.parametrize(
    ("comment", "algorithm"),
    [
        ("ecdsa256@release", Algorithm.ECDSA_P256),
        ("ed25519@release", Algorithm.ED25519),
        ("rsa3072@release", Algorithm.RSA),
    ],
)
def test_an_agent_signs_a_release(
    repository: RegistryRepository, cosign: Cosign, comment: str, algorithm: Algorithm
) -> None:
    signer = open_signer(f"ssh-agent:{comment}")
    assert signer.public_key.algorithm is algorithm
    sign_release(repository, signer, cosign)


@pytest.mark.usefixtures("agent_socket")
def test_an_agent_that_hashes_otherwise_is_found_out_before_anything_is_published() -> None:
    with pytest.raises(SigningError, match="a larger hash than SHA-256"):
        open_signer("ssh-agent:ecdsa384@release").sign(b"m")


def test_keys_of_the_agent_by_fingerprint(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    listed = subprocess.run(["ssh-add", "-l"], check=True, capture_output=True, text=True).stdout
    fingerprint = next(line.split()[1] for line in listed.splitlines() if "ed25519@release" in line)
    assert open_signer(f"ssh-agent:{fingerprint}").public_key.algorithm is Algorithm.ED25519
    with pytest.raises(SigningError, match="has 4 keys that match your choice") as caught:
        open_signer("ssh-agent:")
    assert fingerprint in "\n".join(caught.value.details)
    with pytest.raises(SigningError, match="has no key 'absent'"):
        open_signer("ssh-agent:absent")


@pytest.mark.usefixtures("agent_socket")
def test_a_locked_agent_and_none_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nobody"))
    with pytest.raises(SigningError, match="does not answer"):
        open_signer("ssh-agent:x")


# -- the command line -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("pin", "agent_socket")
@pytest.mark.parametrize("uri", ["pkcs11:token=release;object=p256", "ssh-agent:ecdsa256@release"])
def test_a_release_end_to_end(
    workshop: Workshop, token: str, uri: str, cosign: Cosign, tools: Tools, tmp_path: Path
) -> None:
    """Pushed, signed, attested, released and recorded with a key that never leaves its place."""
    by = ("--sign", "--key", uri)
    public = workshop.pkgtool("key", "public", uri).ok().out
    (tmp_path / "ours.pub").write_text(public)
    key = ("--key", str(tmp_path / "ours.pub"), "--insecure-ignore-tlog")
    with docker_registry(tmp_path / "registry") as address:
        place = Published(workshop, address, tools.crane)
        place.push(*by)
        for reference in place.references("app"):
            cosign("verify", *key, reference)
            cosign("verify", *key, "--new-bundle-format=false", reference)
            for kind in ("slsaprovenance1", "spdxjson", "cyclonedx"):
                cosign("verify-attestation", *key, "--type", kind, reference)
        file = tmp_path / "v1.json"
        workshop.pkgtool("release", "v1", *by, "--registry", address, "--file", str(file)).ok()
        policy = tmp_path / "policy.yml"
        policy.write_text((workshop.tree.root / "policy.yml").read_text().replace("keys/", ""))
        workshop.pkgtool("verify", "--release", str(file), "--policy", str(policy)).ok()
    cosign(
        "verify-blob-attestation", *key, "--type", "https://pkgtool.dev/release/v1",
        "--bundle", f"{file}.sigstore.json", str(file),
    )  # fmt: skip
    links = ["--layout", "v1.in-toto/root.layout", "--link-dir", "v1.in-toto", "--verification-keys", "ours.pub"]
    subprocess.run([Path(sys.executable).with_name("in-toto-verify"), *links], cwd=tmp_path, check=True)


@pytest.mark.parametrize("host", ["fallback tags"], indirect=True)
@pytest.mark.parametrize("kind", ["file", "token", "agent"])
def test_secrets_stay_where_they_belong(
    repository: RegistryRepository, token: str, module: str, agent: Path, tmp_path: Path, kind: str
) -> None:
    """Key, passphrase and PIN are in no argument of any program, in nothing printed, written or sent, in no file."""
    key, passphrase = new_private_key(), "a passphrase like no other"
    (tmp_path / "ours.key").write_bytes(cosign_key.encrypt(key, passphrase.encode()))
    uri = {
        "file": str(tmp_path / "ours.key"),
        "token": f"{token};object=p256?module-path={module}",
        "agent": "ssh-agent:ecdsa256@release",
    }[kind]
    hideout = Hideout(tmp_path, passphrase, agent)
    push_image(repository, "v1")
    command = ("sign", "-v", "--key", uri, f"{repository.name}:v1")
    done = hideout.traced(*command)
    assert b"6 new of 6 signatures" in done.stdout
    failed = hideout.run(*command, passphrase="a wrong passphrase")
    assert (failed.returncode != 0) is (kind == "file")
    assert hexadecimal(b"simplesigning") in hideout.trace.read_text(), "what is sent is seen"
    hideout.assert_hidden([*secrets_of(key), passphrase.encode(), PIN.encode(), b"a wrong passphrase"], done, failed)


@pytest.mark.usefixtures("pin")
@pytest.mark.parametrize("kind", ["file", "token"])
def test_secrets_stay_where_they_belong_when_a_tree_is_pushed_and_released(
    workshop: Workshop, token: str, module: str, agent: Path, tools: Tools, tmp_path: Path, kind: str
) -> None:
    key, passphrase = new_private_key(), "a passphrase like no other"
    (tmp_path / "ours.key").write_bytes(cosign_key.encrypt(key, passphrase.encode()))
    uri = str(tmp_path / "ours.key") if kind == "file" else f"{token};object=p256?module-path={module}"
    hideout = Hideout(tmp_path, passphrase, agent, workshop)
    hidden = [*secrets_of(key), passphrase.encode(), PIN.encode()]
    by = ("--sign", "--key", uri, "--registry")
    with docker_registry(tmp_path / "registry") as address:
        pushed = hideout.traced("push", "-vv", "--no-build", *by, address, "app", "base")
        assert hexadecimal(b"simplesigning") in hideout.trace.read_text()
        hideout.assert_hidden(hidden, pushed)
        released = hideout.traced("release", "v1", "-vv", *by, address, "--file", str(hideout.scratch / "v1.json"))
        assert (hideout.scratch / "v1.in-toto" / "root.layout").exists()
        hideout.assert_hidden(hidden, released)


def test_a_new_key_is_written_encrypted_and_nowhere_else(agent: Path, tmp_path: Path) -> None:
    passphrase = "a passphrase like no other"
    hideout = Hideout(tmp_path, passphrase, agent)
    place = hideout.scratch / "new"
    made = hideout.traced("key", "generate", "-vv", str(place))
    shown = hideout.traced("key", "show", "-vv", f"{place}.key", name="trace-of-show")
    key = cosign_key.decrypt(place.with_suffix(".key").read_bytes(), passphrase.encode(), what="the new key")
    assert hexadecimal(b"-----BEGIN PUBLIC KEY-----") in hideout.trace.read_text(), "what is written is seen"
    hideout.assert_hidden([*secrets_of(key), passphrase.encode()], made, shown)
    assert place.with_suffix(".key").stat().st_mode & 0o077 == 0


@dataclass(frozen=True)
class Hideout:
    """A home and a place for temporary files of one command alone, where all that it leaves behind can be looked at."""

    place: Path
    passphrase: str
    agent: Path
    workshop: Workshop | None = None

    @property
    def scratch(self) -> Path:
        (self.place / "scratch").mkdir(exist_ok=True)
        return self.place / "scratch"

    @property
    def trace(self) -> Path:
        """What the traced commands said to others and wrote, in hexadecimal."""
        return self.place / "trace"

    def run(self, *arguments: str, before: tuple[str, ...] = (), passphrase: str = "") -> Done:
        line = self.workshop.pkgtool if self.workshop else CommandLine(self.scratch, self.scratch / "store")
        environment = {
            **os.environ,
            "PKGTOOL_KEY_PASSWORD": passphrase or self.passphrase,
            "PKGTOOL_KEY_PIN": PIN,
            "SSH_AUTH_SOCK": str(self.agent),
            "TMPDIR": str(self.scratch),
            "HOME": str(self.scratch),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [*before, *line.command(*arguments)]
        return subprocess.run(command, cwd=self.scratch, env=environment, capture_output=True)

    def traced(self, *arguments: str, name: str = "trace") -> Done:
        """Run it under strace; it must succeed."""
        calls = "trace=execve,write,pwrite64,writev,sendto,sendmsg"
        output = ("-e", calls, "-o", str(self.place / name))
        done = self.run(*arguments, before=(require("strace", "strace"), "-f", "-xx", "-s", "1000000", *output))
        assert done.returncode == 0, done.stderr.decode()
        return done

    def assert_hidden(self, secrets: list[bytes], *done: Done) -> None:
        """Not in a system call, nothing printed, no file that was left."""
        for trace in self.place.glob("trace*"):
            traced = trace.read_text()
            assert not [secret for secret in secrets if hexadecimal(secret) in traced]
        printed = b"".join(each.stdout + each.stderr for each in done)
        assert not [secret for secret in secrets if secret in printed]
        for file in self.scratch.rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            assert not [secret for secret in secrets if secret in content], file


def secrets_of(key: PrivateKey) -> list[bytes]:
    """A private key in the forms that it could be given away in."""
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    scalar = key.private_numbers().private_value
    return [der, scalar.to_bytes(32), b"%x" % scalar, str(scalar).encode()]


def hexadecimal(content: bytes) -> str:
    """As strace shows it."""
    return "".join(f"\\x{byte:02x}" for byte in content)
