"""The commands of docs/verify.md, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pkgtool.oci.registry.repository import RegistryRepository
from pkgtool.signing import publish
from pkgtool.signing.attestor import KeyAttestor
from pkgtool.signing.intoto.layout import Functionaries, write_layout
from pkgtool.signing.intoto.steps import Record, Step, write_link
from pkgtool.signing.keyless import open_keyless
from pkgtool.signing.services import Services
from pkgtool.signing.statements import claims
from pkgtool.signing.trusted_root import TrustedRoot
from pkgtool.values import Digest
from tests.integration.signing.conftest import Tools
from tests.integration.signing.test_cosign_accepts import statements
from tests.support.registry.images import AMD64
from tests.support.signing import push_image, signer
from tests.support.sigstore_standin import Standin

PAGE = Path(__file__).parents[3] / "docs" / "verify.md"
BLOCK = re.compile(r"^```sh ?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WHO = "ci@pkgtool.example"


def blocks() -> list[tuple[str, str]]:
    """Each block with its label."""
    return [(match[1], match[2]) for match in BLOCK.finditer(PAGE.read_text())]


def test_the_page_has_the_blocks_that_are_run() -> None:
    labels = [label for label, _ in blocks()]
    assert labels.count("") >= 8
    assert {label for label in labels if label} == {"with log", "keyless", "release", "in-toto"}


@pytest.fixture
def programs(tools: Tools, tmp_path: Path) -> str:
    """A PATH with the programs that the page uses."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name, path in (("cosign", tools.cosign), ("oras", tools.oras), ("skopeo", tools.skopeo)):
        (directory / name).symlink_to(path)
    (directory / "in-toto-verify").symlink_to(Path(sys.executable).with_name("in-toto-verify"))
    return f"{directory}:/usr/bin:/bin"


@pytest.fixture
def signed(repository: RegistryRepository, instance: Standin) -> RegistryRepository:
    """An image with everything: a key's signatures, logged, and an identity's."""
    push_image(repository, "v1")
    root = TrustedRoot.load(instance.trusted_root)
    ours = KeyAttestor(signer(), Services.load(instance.signing_config(1)), root=root)
    somebody = open_keyless(instance.trust_config(1), token=instance.token(WHO))
    subjects = publish.targets(repository, "v1")
    with closing(ours):
        for subject in subjects:
            publish.sign(repository, subject, somebody)
            publish.sign(repository, subject, ours)
        for subject, statement in statements(subjects):
            publish.attest(repository, subject, statement, ours)
    return repository


def write_release(directory: Path) -> None:
    content = b'{"release": "v1.2"}'
    links = directory / "v1.2.in-toto"
    links.mkdir()
    (directory / "v1.2.json").write_bytes(content)
    package = claims.ReleasedPackage("linuxkit/getty", "v1", Digest.of(b"index"), {AMD64: Digest.of(b"amd64")})
    said = claims.release(claims.Release("v1.2", "https://example.org/tree", "c" * 40, (package,), Digest.of(content)))
    (directory / "v1.2.json.sigstore.json").write_bytes(KeyAttestor(signer()).attest(said.encode()).encode())
    source, image = {"source/getty": Digest.of(b"s")}, {"image/getty": Digest.of(b"i")}
    signature, inputs = {"signature/getty": Digest.of(b"g")}, {"inputs/getty": Digest.of(b"n")}
    for record in (
        Record(Step.SOURCE, {}, source),
        Record(Step.LOCK, source, inputs),
        Record(Step.BUILD, {**source, **inputs}, image),
        Record(Step.SIGN, image, signature),
        Record(Step.PUSH, {**image, **signature}, {"v1.2.json": Digest.of(content)}),
    ):
        write_link(record, signer(), links)
    who = Functionaries((signer().public_key,))
    expires = datetime.now(UTC) + timedelta(days=1)
    layout = links / "root.layout"
    write_layout(layout, dict.fromkeys(Step, who), [signer()], release_file="v1.2.json", expires=expires)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sigstore leaves its sockets open
def test_every_command_of_the_page(
    signed: RegistryRepository, instance: Standin, programs: str, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "release.pub").write_text(signer().public_key.pem)
    (work / "trusted_root.json").write_bytes(instance.trusted_root.read_bytes())
    write_release(work)
    host, _, path = signed.name.partition("/")
    environment = {
        "PATH": programs,
        "HOME": str(work),
        "REGISTRY": f"http://{host}",
        "REPO": path,
        "TAG": "v1",
        "KEY": "release.pub",
        "IDENTITY": WHO,
        "ISSUER": instance.url,
        "LC_ALL": "C.UTF-8",
    }
    script = "".join(text for _, text in blocks())
    done = subprocess.run(["sh", "-eux"], input=script, cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


def test_the_commands_refuse_an_image_that_nobody_signed(
    repository: RegistryRepository, programs: str, tmp_path: Path
) -> None:
    """Each check by itself, so that none passes because it checks nothing."""
    push_image(repository, "v1")
    (tmp_path / "release.pub").write_text(signer().public_key.pem)
    host, _, path = repository.name.partition("/")
    environment = {
        "PATH": programs,
        "HOME": str(tmp_path),
        "TAG": "v1",
        "KEY": "release.pub",
        "REGISTRY": f"http://{host}",
        "REPO": path,
        "LC_ALL": "C.UTF-8",
        "IDENTITY": "x",
        "ISSUER": "y",
    }
    names, *checks = blocks()
    about_images = [text for label, text in checks if label in ("", "with log", "keyless")]
    needs_signature = [text for text in about_images if "manifests > " not in text and "> manifests" not in text]
    for text in needs_signature:
        script = names[1] + text
        shell = ["bash", "-euo", "pipefail"]
        done = subprocess.run(shell, input=script, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode != 0, text


def test_the_page_is_free_of_this_machine() -> None:
    text = PAGE.read_text()
    assert os.uname().nodename not in text
    assert "/home/" not in text
