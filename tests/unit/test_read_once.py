"""What is read once, and what must be read anew all the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pkgtool.errors import RegistryError
from pkgtool.oci.documents import EMPTY, Descriptor
from pkgtool.oci.once import Once
from pkgtool.oci.read_once import ReadOnce, fresh
from pkgtool.signing import publish, verify
from pkgtool.signing.formats import bundle, classic
from pkgtool.signing.statements.statement import CYCLONEDX, PROVENANCE, SIGN, SPDX
from pkgtool.signing.verify import Trust
from pkgtool.values import Digest
from tests.support.signing import OpenRepository, attestor, push_image, signer, statement


class Counting(OpenRepository):
    """Counts the questions for lists of referrers too."""

    def referrers(self, subject: Digest, *, artifact_type: str = "") -> list[Descriptor]:
        self.calls["referrers"] += 1
        return super().referrers(subject, artifact_type=artifact_type)


@pytest.fixture
def behind() -> Counting:
    repository = Counting()
    push_image(repository, "v1")
    return repository


def test_many_who_ask_at_once_wait_for_one(behind: Counting) -> None:
    once: Once[str, int] = Once()
    made: list[str] = []
    together = threading.Barrier(8)

    def ask(number: int) -> int:
        together.wait(30)
        return once.get(f"key {number % 2}", lambda: made.append(f"key {number % 2}") or len(made))

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(ask, range(8)))
    assert sorted(made) == ["key 0", "key 1"]
    assert len(set(got[::2])) == len(set(got[1::2])) == 1


def test_failures_and_what_is_not_to_be_kept_are_made_again() -> None:
    once: Once[str, int | None] = Once()
    answers = iter([ZeroDivisionError(), None, 1, 2])

    def make() -> int | None:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ZeroDivisionError):
        once.get("key", make)
    assert [once.get("key", make, keep=bool) for _ in range(3)] == [None, 1, 1]
    once.forget("key")
    assert once.get("key", make) == 2


def test_content_is_asked_for_once(behind: Counting) -> None:
    repository = ReadOnce(behind)
    descriptor, content = repository.get_manifest("v1")
    assert repository.get_manifest("v1") == (descriptor, content)
    blob = behind.write_blob(b"content", "text/plain")
    assert {repository.read_blob(blob) for _ in range(3)} == {b"content"}
    assert repository.referrers(descriptor.digest) == repository.referrers(descriptor.digest, artifact_type="x") == []
    assert repository.get_manifest("absent") is repository.get_manifest("absent") is None
    assert behind.calls["get_manifest"] == 2
    assert behind.calls["stream_blob"] == behind.calls["referrers"] == 1


def test_what_is_written_is_seen_at_once(behind: Counting) -> None:
    repository = ReadOnce(behind)
    index, _ = repository.get_manifest("v1")
    assert repository.get_manifest("v2") is None
    other = push_image(repository, "v2", "other")
    assert repository.get_manifest("v2")[0].digest == other.digest
    assert repository.referrers(index.digest) == []
    repository.write_blob(b"{}", EMPTY)
    layer = repository.write_blob(b"a bundle", bundle.MEDIA_TYPE)
    attached = repository.attach(bundle.manifest(layer, index, bundle.referrer_annotations(SIGN, "now")))
    assert [each.digest for each in repository.referrers(index.digest)] == [attached.digest]


def test_a_moved_tag_is_seen_by_who_asks_for_what_is_fresh(behind: Counting) -> None:
    repository = ReadOnce(behind)
    before = repository.get_manifest("v1")
    moved = push_image(behind, "v1", "other")
    assert repository.get_manifest("v1") == before
    assert fresh(repository).get_manifest("v1")[0].digest == moved.digest
    assert fresh(behind) is behind


def test_damage_is_told_every_time(behind: Counting) -> None:
    """Of a blob with other bytes; and of a descriptor with a wrong size, though the blob was read by the right one."""
    repository = ReadOnce(behind)
    blob = behind.write_blob(b"content", "text/plain")
    behind.blobs[blob.digest] = b"damaged"
    for _ in range(2):
        with pytest.raises(RegistryError, match="damaged"):
            repository.read_blob(blob)
    behind.blobs[blob.digest] = b"content"
    assert repository.read_blob(blob) == b"content"
    with pytest.raises(RegistryError):
        repository.read_blob(Descriptor(blob.media_type, blob.digest, blob.size + 1))


def test_memory_has_a_limit(behind: Counting) -> None:
    repository = ReadOnce(behind, limit=10)
    small, large = behind.write_blob(b"12345678", ""), behind.write_blob(b"1234567890a", "")
    for _ in range(3):
        assert repository.read_blob(small) == b"12345678"
        assert repository.read_blob(large) == b"1234567890a"
    assert behind.calls["stream_blob"] == 1 + 3


def test_signing_through_it_writes_the_same_with_fewer_questions(behind: Counting) -> None:
    """And nothing the second time, when everything is asked for exactly once."""
    index, *_ = publish.targets(behind, "v1")
    statements = [statement(index, kind) for kind in (PROVENANCE, SPDX, CYCLONEDX)]

    def all_of(repository: ReadOnce) -> list[bool]:
        made = publish.sign(repository, index, attestor())
        for each in statements:
            made += publish.attest(repository, index, each, attestor())
        return [each.new for each in made]

    assert all(all_of(ReadOnce(behind)))
    found = verify.image(behind, index.digest, Trust((signer().public_key,)))
    assert len(found.evidence) == 8
    assert not found.refusals
    behind.calls.clear()
    assert not any(all_of(ReadOnce(behind)))
    # Four bundles with a manifest each, the `.sig` and the `.att` with three layers.
    assert behind.calls == {"referrers": 1, "get_manifest": 4 + 2, "stream_blob": 4 + 3}


class Meanwhile(OpenRepository):
    """Somebody else appends to the `.att` when he is `due`: while we sign."""

    def theirs(self, digest: Digest) -> None:
        tag = classic.attestation_tag(digest)
        layer = self.write_blob(b"their attestation", classic.ATTESTATION_LAYER)
        manifest, config = classic.manifest([layer])
        self.write_blob(config, "config")
        super().put_manifest(manifest.encode(), manifest.media_type, tag=tag)


@pytest.mark.parametrize("remember", [True, False])
def test_what_another_signer_wrote_while_we_signed_stays(remember: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing may wait for a person, a key service or a log: the tag is not what it was before."""
    behind = Meanwhile()
    push_image(behind, "v1")
    index, *_ = publish.targets(behind, "v1")
    ours = attestor()
    attest = ours.attest

    def slowly(content: bytes) -> bundle.Bundle:
        behind.theirs(index.digest)
        return attest(content)

    monkeypatch.setattr(ours, "attest", slowly)
    repository = ReadOnce(behind) if remember else behind
    publish.attest(repository, index, statement(index, SPDX), ours, formats=[verify.Format.CLASSIC])
    _, content = behind.get_manifest(classic.attestation_tag(index.digest))
    assert len(publish.Manifest.parse(content, what="it").layers) == 2
