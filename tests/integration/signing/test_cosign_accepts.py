"""What we sign and attest, an unmodified cosign 3 accepts: every digest, both formats, with and without a log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from pkgtool.oci.documents import Descriptor
from pkgtool.oci.registry.repository import RegistryRepository
from pkgtool.sbom import cyclonedx, spdx
from pkgtool.sbom.model import Inventory, Subject
from pkgtool.signing import publish, verify
from pkgtool.signing.attestor import Attestor, KeyAttestor
from pkgtool.signing.keyless import open_keyless
from pkgtool.signing.public_key import Algorithm
from pkgtool.signing.services import Services
from pkgtool.signing.statements import claims
from pkgtool.signing.statements.facts import BuildFacts, ParentImage, Source
from pkgtool.signing.statements.provenance import index_provenance, provenance
from pkgtool.signing.statements.statement import CYCLONEDX, SPDX, Statement
from pkgtool.signing.trusted_root import TrustedRoot
from pkgtool.signing.verify import Format, Trust
from pkgtool.values import Digest
from tests.integration.signing.conftest import Cosign
from tests.support.registry.images import AMD64, ARM64
from tests.support.signing import NOW, push_image, signer
from tests.support.sigstore_standin import Standin

WHO = "ci@pkgtool.example"
OLD_FORMAT = "--new-bundle-format=false"
TYPES = ("slsaprovenance1", "spdxjson", "cyclonedx", "https://slsa.dev/verification_summary/v1")


def statements(subjects: list[Descriptor]) -> Iterable[tuple[Descriptor, Statement]]:
    """All that a release says about an index and its manifests."""
    index, *manifests = subjects
    source = Source("https://example.org/tree", "c" * 40, "d" * 40, "pkg/getty")
    parent = ParentImage("linuxkit/base:v1", Digest.of(b"base"), "package", AMD64)
    for subject, platform in zip(manifests, (AMD64, ARM64), strict=True):
        facts = BuildFacts(
            "linuxkit/getty",
            "v1",
            platform,
            Digest.of(b"fingerprint"),
            source,
            "1.0",
            "buildah",
            "1.28",
            hermetic=True,
            source_date_epoch=1577836800,
            parents=(parent,),
            started=NOW,
            finished=NOW,
            log=Digest.of(b"log"),
        )
        yield subject, provenance(facts, subject.digest)
    digests = {AMD64: manifests[0].digest, ARM64: manifests[1].digest}
    yield index, index_provenance(facts, digests, index.digest)
    inventories = [Inventory(platform, digest, ()) for platform, digest in digests.items()]
    for subject, held in ((index, inventories), *zip(manifests, ([each] for each in inventories), strict=True)):
        about = Subject("linuxkit/getty", "v1", subject.digest, tuple(held), 1577836800, "1.0")
        from pkgtool.signing.statements.statement import Subject as StatementSubject

        target = (StatementSubject.of(subject.digest, "linuxkit/getty"),)
        yield subject, Statement(target, SPDX, spdx.document(about))
        yield subject, Statement(target, CYCLONEDX, cyclonedx.document(about))
        outcome = claims.Verification(
            "registry.example/linuxkit/getty:v1",
            "policy.yml",
            Digest.of(b"p"),
            True,
            1,
            "https://pkgtool.dev",
            "1",
            NOW,
        )
        yield subject, claims.verification_summary(outcome, subject.digest)


def publish_all(repository: RegistryRepository, attestor: Attestor) -> list[str]:
    """A whole signed image; gives the reference of every digest."""
    push_image(repository, "v1")
    subjects = publish.targets(repository, "v1")
    for subject in subjects:
        publish.sign(repository, subject, attestor, annotations={"stage": "test"})
    for subject, statement in statements(subjects):
        publish.attest(repository, subject, statement, attestor)
    return [f"{repository.name}:v1", *(f"{repository.name}@{subject.digest}" for subject in subjects)]


def verify_all(cosign: Cosign, references: list[str], *options: str, types: Iterable[str] = TYPES) -> None:
    for reference in references:
        cosign("verify", *options, "-a", "stage=test", reference)
        for kind in types:
            cosign("verify-attestation", *options, "--type", kind, reference)


def write_public_key(algorithm: Algorithm = Algorithm.ECDSA_P256) -> str:
    Path("ours.pub").write_text(signer("ours", algorithm).public_key.pem)
    return "ours.pub"


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_every_kind_of_key(repository: RegistryRepository, cosign: Cosign, algorithm: Algorithm) -> None:
    references = publish_all(repository, KeyAttestor(signer("ours", algorithm)))
    options = ("--key", write_public_key(algorithm), "--insecure-ignore-tlog")
    every = references if algorithm is Algorithm.ECDSA_P256 else references[:1]
    verify_all(cosign, every, *options)
    verify_all(cosign, every, *options, OLD_FORMAT)


def test_other_keys_and_annotations_are_refused(repository: RegistryRepository, cosign: Cosign) -> None:
    """So that the acceptances above mean something."""
    (reference, *_rest) = publish_all(repository, KeyAttestor(signer("ours")))
    Path("other.pub").write_text(signer("other").public_key.pem)
    key = write_public_key()
    for extra in ((), (OLD_FORMAT,)):
        cosign("verify", "--key", "other.pub", "--insecure-ignore-tlog", *extra, reference, fails=True)
        cosign("verify", "--key", key, "--insecure-ignore-tlog", *extra, "-a", "stage=no", reference, fails=True)
    cosign("verify-attestation", "--key", key, "--insecure-ignore-tlog", "--type", "vuln", reference, fails=True)
    cosign("verify", "--key", key, reference, fails=True)


@pytest.mark.parametrize("version", [1, 2])
def test_a_key_with_a_log_and_timestamps(
    repository: RegistryRepository, cosign: Cosign, instance: Standin, version: int, request: pytest.FixtureRequest
) -> None:
    root = TrustedRoot.load(instance.trusted_root)
    attestor = KeyAttestor(signer("ours"), Services.load(instance.signing_config(version)), root=root)
    request.addfinalizer(attestor.close)
    references = publish_all(repository, attestor)
    options = ("--key", write_public_key(), "--trusted-root", str(instance.trusted_root))
    verify_all(cosign, references, *options)
    if version == 1:  # the older format has no place for a proof of version 2
        verify_all(cosign, references[:1], *options, OLD_FORMAT)
    else:
        verify_all(cosign, references[:1], *options[:2], "--insecure-ignore-tlog", OLD_FORMAT)
    check_ours(repository, Trust((signer("ours").public_key,), root), version)
    unchanged(repository, attestor)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sigstore leaves its sockets open
@pytest.mark.parametrize("version", [1, 2])
def test_keyless(repository: RegistryRepository, cosign: Cosign, instance: Standin, version: int) -> None:
    attestor = open_keyless(instance.trust_config(version), token=instance.token(WHO))
    references = publish_all(repository, attestor)
    who = ("--certificate-identity", WHO, "--certificate-oidc-issuer", instance.url)
    options = (*who, "--trusted-root", str(instance.trusted_root))
    verify_all(cosign, references, *options)
    if version == 1:
        verify_all(cosign, references[:1], *options, OLD_FORMAT)
    else:
        cosign("verify", *options, OLD_FORMAT, references[0], fails=True)
    cosign("verify", *options[2:], "--certificate-identity", "other@pkgtool.example", references[0], fails=True)
    check_ours(repository, attestor.trust, version)
    unchanged(repository, attestor)


def check_ours(repository: RegistryRepository, trust: Trust, version: int) -> None:
    """Our own verifier finds the same, with the log's proof."""
    for subject in publish.targets(repository, "v1"):
        found = verify.image(repository, subject.digest, trust)
        assert found.refusals == ()
        bundles = [each for each in found.evidence if each.format is Format.BUNDLE]
        assert len(bundles) == 5
        assert all(each.logged and each.times for each in bundles)
        classic = [each for each in found.evidence if each.format is Format.CLASSIC]
        assert all(bool(each.logged) is (version == 1) for each in classic)


def unchanged(repository: RegistryRepository, attestor: Attestor) -> None:
    """Signing again adds nothing: not to the registry, and so not to the log."""
    before = repository.tags(), [len(repository.referrers(each.digest)) for each in publish.targets(repository, "v1")]
    subjects = publish.targets(repository, "v1")
    for subject in subjects:
        assert not any(each.new for each in publish.sign(repository, subject, attestor, annotations={"stage": "test"}))
    for subject, statement in statements(subjects):
        assert not any(each.new for each in publish.attest(repository, subject, statement, attestor))
    assert before == (repository.tags(), [len(repository.referrers(each.digest)) for each in subjects])


def test_the_statements_arrive_as_they_were_made(repository: RegistryRepository, cosign: Cosign) -> None:
    import base64

    publish_all(repository, KeyAttestor(signer("ours")))
    subjects = publish.targets(repository, "v1")
    (sent,) = [s for d, s in statements(subjects) if d == subjects[0] and s.predicate_type.endswith("provenance/v1")]
    options = ("--key", write_public_key(), "--insecure-ignore-tlog", "--type", "slsaprovenance1")
    output = cosign("verify-attestation", *options, f"{repository.name}:v1").stdout
    envelope = json.loads(output.splitlines()[0])
    assert base64.b64decode(envelope["payload"]) == sent.encode()


def test_a_release_file_as_a_blob(cosign: Cosign) -> None:
    """The bundle of a release is checked without any registry."""
    content = b'{"release": "v1.2"}'
    Path("release.json").write_bytes(content)
    package = claims.ReleasedPackage("linuxkit/getty", "v1", Digest.of(b"index"), {AMD64: Digest.of(b"amd64")})
    said = claims.release(claims.Release("v1.2", "https://example.org/tree", "c" * 40, (package,), Digest.of(content)))
    bundle = KeyAttestor(signer("ours")).attest(said.encode())
    Path("release.sigstore.json").write_bytes(bundle.encode())
    options = ("--key", write_public_key(), "--insecure-ignore-tlog", "--type", said.predicate_type)
    cosign("verify-blob-attestation", *options, "--bundle", "release.sigstore.json", "release.json")
    Path("release.json").write_bytes(content + b" ")
    cosign("verify-blob-attestation", *options, "--bundle", "release.sigstore.json", "release.json", fails=True)
