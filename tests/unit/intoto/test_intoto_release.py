"""A release with in-toto: accepted by in-toto's own program if it is honest, refused by it if it is not."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.errors import SigningError, VerificationError
from pkgtool.signing.intoto.layout import Functionaries, verify, write_layout
from pkgtool.signing.intoto.steps import Record, Step, write_link
from pkgtool.signing.public_key import Algorithm
from pkgtool.values import Digest
from tests.support.signing import signer

pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # in in-toto's own code

FILE = "release.json"
CONTENT = b'{"release": "v1.2"}'
EXPIRES = dt.datetime.now(dt.UTC) + dt.timedelta(days=30)


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


def records() -> dict[Step, Record]:
    packages = ("linuxkit/getty", "linuxkit/sshd")
    source = {f"source/{name}": digest(f"source {name}") for name in packages}
    inputs = {f"inputs/{name}": digest(f"inputs {name}") for name in packages}
    images = {f"image/{name}": digest(f"image {name}") for name in packages}
    signatures = {f"signature/{name}": digest(f"signature {name}") for name in packages}
    return {
        Step.SOURCE: Record(Step.SOURCE, {}, source),
        Step.LOCK: Record(Step.LOCK, source, inputs),
        Step.BUILD: Record(Step.BUILD, {**source, **inputs}, images),
        Step.SIGN: Record(Step.SIGN, images, signatures),
        Step.PUSH: Record(Step.PUSH, {**images, **signatures}, {FILE: Digest.of(CONTENT)}),
    }


class Release:
    """A directory with a layout, links and the release file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "owner.pub").write_text(signer("owner").public_key.pem)
        (directory / FILE).write_bytes(CONTENT)
        self.layout()

    def layout(self, **changes) -> None:
        ours = Functionaries((signer("ours").public_key,))
        people = {**dict.fromkeys(Step, ours), Step.SIGN: Functionaries((signer("hsm").public_key,))}
        options = {"release_file": FILE, "expires": EXPIRES, **changes}
        write_layout(self.directory / "root.layout", people, [signer("owner")], **options)

    def link(self, record: Record, who: str = "") -> Path:
        return write_link(record, signer(who or ("hsm" if record.step is Step.SIGN else "ours")), self.directory)

    def all_links(self) -> None:
        for record in records().values():
            self.link(record)

    def verify_with_their_program(self, key: str = "owner.pub") -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("in-toto-verify")
        command = [str(program), "--layout", "root.layout", "--verification-keys", key]
        return subprocess.run(command, cwd=self.directory, capture_output=True, text=True)

    def accepted(self, monkeypatch: pytest.MonkeyPatch) -> bool:
        """What our call of the library says, which must be what their program says."""
        monkeypatch.chdir(self.directory)
        try:
            verify(self.directory / "root.layout", [signer("owner").public_key], self.directory)
        except VerificationError as problem:
            self.reason = problem.message
            return False
        return True


@pytest.fixture
def made(tmp_path: Path) -> Release:
    return Release(tmp_path)


def test_an_honest_release_is_accepted(made: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    made.all_links()
    done = made.verify_with_their_program()
    assert done.returncode == 0, done.stderr
    assert made.accepted(monkeypatch), made.reason


def changed(step: Step, name: str, *, product: bool = False) -> Record:
    record = records()[step]
    part = dict(record.products if product else record.materials)
    part[name] = digest("tampered")
    return replace(record, products=part) if product else replace(record, materials=part)


def drop(step: Step) -> Callable[[Release], None]:
    def act(made: Release) -> None:
        (link,) = made.directory.glob(f"{step}.*.link")
        link.unlink()

    return act


def relink(record: Record, who: str = "") -> Callable[[Release], None]:
    def act(made: Release) -> None:
        made.link(record, who)

    return act


def tamper(made: Release) -> None:
    (made.directory / FILE).write_bytes(CONTENT + b" ")


def edit_link(made: Release) -> None:
    (link,) = made.directory.glob("build.*.link")
    document = json.loads(link.read_text())
    document["payload"] = json.loads(next(made.directory.glob("lock.*.link")).read_text())["payload"]
    link.write_text(json.dumps(document))


def sign_as_somebody_else(made: Release) -> None:
    drop(Step.SIGN)(made)
    made.link(records()[Step.SIGN], "ours")


ATTACKS = {
    **{f"the step {step} is missing": drop(step) for step in Step},
    "the release file was changed": tamper,
    "the release file is not there": lambda made: (made.directory / FILE).unlink(),
    "sources changed between lock and build": relink(changed(Step.BUILD, "source/linuxkit/getty")),
    "inputs changed before the build": relink(changed(Step.BUILD, "inputs/linuxkit/getty")),
    "something was added to the build": relink(changed(Step.BUILD, "source/evil")),
    "another image was signed": relink(changed(Step.SIGN, "image/linuxkit/sshd")),
    "another image was pushed": relink(changed(Step.PUSH, "image/linuxkit/sshd")),
    "another signature was pushed": relink(changed(Step.PUSH, "signature/linuxkit/sshd")),
    "the build gave something of another kind": relink(changed(Step.BUILD, "signature/x", product=True)),
    "a link was edited": edit_link,
    "somebody else signed the images": sign_as_somebody_else,
    "the layout has expired": lambda made: made.layout(expires=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_dishonest_release_is_refused(made: Release, attack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made.all_links()
    ATTACKS[attack](made)
    assert made.verify_with_their_program().returncode == 1
    assert not made.accepted(monkeypatch)


def test_a_layout_by_somebody_else_is_refused(made: Release) -> None:
    made.all_links()
    (made.directory / "other.pub").write_text(signer("other").public_key.pem)
    assert made.verify_with_their_program("other.pub").returncode == 1


def test_two_builders_must_agree(made: Release) -> None:
    pair = Functionaries((signer("ours").public_key, signer("second").public_key), threshold=2)
    one = Functionaries((signer("ours").public_key,))
    people = {**dict.fromkeys(Step, one), Step.BUILD: pair, Step.SIGN: Functionaries((signer("hsm").public_key,))}
    write_layout(made.directory / "root.layout", people, [signer("owner")], release_file=FILE, expires=EXPIRES)
    made.all_links()
    assert made.verify_with_their_program().returncode == 1
    made.link(records()[Step.BUILD], "second")
    assert made.verify_with_their_program().returncode == 0
    made.link(changed(Step.BUILD, "image/linuxkit/getty", product=True), "second")
    assert made.verify_with_their_program().returncode == 1


def test_ed25519_keys_too(made: Release) -> None:
    key = signer("ed", Algorithm.ED25519)
    who = Functionaries((key.public_key,))
    write_layout(made.directory / "root.layout", dict.fromkeys(Step, who), [key], release_file=FILE, expires=EXPIRES)
    (made.directory / "ed.pub").write_text(key.public_key.pem)
    for record in records().values():
        write_link(record, key, made.directory)
    done = made.verify_with_their_program("ed.pub")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("algorithm", [Algorithm.RSA, Algorithm.ECDSA_P384])
def test_keys_that_in_toto_uses_otherwise_are_refused_when_signing(made: Release, algorithm: Algorithm) -> None:
    with pytest.raises(SigningError, match="in-toto does not take"):
        write_link(records()[Step.SOURCE], signer("x", algorithm), made.directory)


def test_a_step_that_nobody_may_do_is_a_mistake(made: Release) -> None:
    with pytest.raises(SigningError, match="too few who may do the step"):
        write_layout(made.directory / "l", {}, [signer("owner")], release_file=FILE, expires=EXPIRES)
