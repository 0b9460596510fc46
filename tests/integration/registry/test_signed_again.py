"""What `push --sign` asks of a registry that has everything already, and what it must notice there all the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pkgtool.errors import ExitCode
from pkgtool.oci.store import Store
from pkgtool.oci.store.statements import PROVENANCE as PROVENANCE_FILE
from pkgtool.signing.formats import bundle
from pkgtool.signing.keys import generate
from pkgtool.signing.statements.statement import PROVENANCE, SIGN, SPDX, Statement, Subject
from pkgtool.values import Digest
from tests.support.command_line import CommandLine, Ended
from tests.support.registry.built_tree import Built, fill
from tests.support.registry.server import Modes, State, serving
from tests.support.tree import TreeBuilder

PACKAGES = ("alpha", "beta")
DIGESTS = 3
"""Of a package: the index, and an image for each of two platforms."""
STATEMENTS = 3
"""About each: provenance and two SBOMs."""
SIGNATURE_BUNDLE, SIGNATURE_TAG = 1, 1
PER_DIGEST = (
    1  # the list of referrers
    + 2 * (SIGNATURE_BUNDLE + STATEMENTS)  # each bundle's manifest and blob
    + SIGNATURE_TAG  # whose layer is known without being read
    + (1 + STATEMENTS)  # the tag with the attestations, and its layers
)
PER_PACKAGE = 2 + DIGESTS * PER_DIGEST
"""Two: is the tag right, and what is in its index."""


@dataclass
class Signed:
    """A tree that is published and signed, and the registry that has it."""

    state: State
    pkgtool: CommandLine
    built: Built
    keys: Path

    def push(self, key: str = "ours") -> Ended:
        self.state.forget()
        by = ("--key", str(self.keys / f"{key}.key"), "--key-password-file", str(self.keys / "passphrase"))
        return self.pkgtool("push", "--registry", self.state.address, "--sign", *by, "--json")

    def results(self, key: str = "ours") -> dict[tuple[str, str], str]:
        """What became of each step."""
        steps = self.push(key).ok().json["steps"]
        return {(step["step"], step["package"]): step["result"] for step in steps}

    def everything(self) -> dict[tuple[str, str], object]:
        return {**self.state.blobs, **self.state.manifests, **self.state.tags}

    def bundle_of(self, kind: str) -> tuple[tuple[str, str], tuple[str, str]]:
        """Where the manifest and the blob of alpha's first bundle of a kind are."""
        for (name, digest), (_, content) in sorted(self.state.manifests.items()):
            document = json.loads(content)
            if name.endswith("alpha") and document.get("annotations", {}).get(bundle.PREDICATE_TYPE) == kind:
                return (name, digest), (name, document["layers"][0]["digest"])
        raise AssertionError(f"no bundle of {kind}")

    def tag_of(self, ending: str) -> tuple[str, str]:
        return next(key for key in sorted(self.state.tags) if key[0].endswith("alpha") and key[1].endswith(ending))


def make(tree: TreeBuilder, pkgtool: CommandLine, place: Path, state: State) -> Signed:
    for name in PACKAGES:
        tree.package(name, "arches: [amd64, arm64]\n")
    tree.commit()
    built = fill(pkgtool)
    statements = Store(pkgtool.store).statements
    for name, images in built.items():
        for image in images.values():
            said = Statement((Subject.of(image.digest, f"linuxkit/{name}"),), PROVENANCE, {"made": "for a test"})
            statements.write(image.digest, PROVENANCE_FILE, said.encode())
    (place / "passphrase").write_text("a passphrase of the tests\n")
    for key in ("ours", "other"):
        pair = generate.generate(b"a passphrase of the tests")
        generate.write(pair, place / f"{key}.key", place / f"{key}.pub")
    signed = Signed(state, pkgtool, built, place)
    assert set(signed.results().values()) == {"pushed", "signed"}
    return signed


@pytest.fixture
def signed(tree: TreeBuilder, pkgtool: CommandLine, tmp_path: Path) -> Iterator[Signed]:
    with serving() as state:
        yield make(tree, pkgtool, tmp_path, state)


@pytest.mark.parametrize("api", [True, False], ids=["referrers API", "fallback tags"])
def test_what_lies_there_is_asked_for_once(api: bool, tree: TreeBuilder, pkgtool: CommandLine, tmp_path: Path) -> None:
    with serving(Modes(referrers=api)) as state:
        signed = make(tree, pkgtool, tmp_path, state)
        before = signed.everything()
        assert set(signed.results().values()) == {"unchanged"}
        assert signed.everything() == before
        assert set(state.count()) == {"GET", "HEAD"}
        asked = Counter((seen.method, seen.path) for seen in state.seen)
        assert set(asked.values()) == {1}, "nothing twice"
        # Without the API each list costs the question for it too, until the first answer has come.
        probes = sum("/referrers/" in path for _, path in asked) if not api else 0
        assert len(state.seen) - probes <= PER_PACKAGE * len(PACKAGES)
        assert probes <= DIGESTS * len(PACKAGES)


def test_with_tokens_each_repository_needs_one(signed: Signed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.mkdir()
    (docker / "config.json").write_text(json.dumps({"auths": {signed.state.address: {"auth": "bWU6c2VjcmV0"}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(docker))
    signed.state.modes.bearer = ("me", "secret")
    assert set(signed.results().values()) == {"unchanged"}
    asked = [seen for seen in signed.state.seen if seen.path.startswith("/token")]
    assert len(asked) == len(PACKAGES)


Damage = Callable[[Signed], object]
LOST: dict[str, Damage] = {
    "signature tag": lambda it: it.state.tags.pop(it.tag_of(".sig")),
    "attestation tag": lambda it: it.state.tags.pop(it.tag_of(".att")),
    "signature bundle": lambda it: it.state.manifests.pop(it.bundle_of(SIGN)[0]),
    "provenance bundle": lambda it: it.state.manifests.pop(it.bundle_of(PROVENANCE)[0]),
    "SBOM bundle": lambda it: it.state.manifests.pop(it.bundle_of(SPDX)[0]),
}


@pytest.mark.parametrize("what", LOST)
def test_what_was_lost_is_made_again(what: str, signed: Signed) -> None:
    LOST[what](signed)
    assert signed.results() == {
        ("push", "alpha"): "unchanged",
        ("push", "beta"): "unchanged",
        ("sign", "alpha"): "signed",
        ("sign", "beta"): "unchanged",
    }
    assert set(signed.results().values()) == {"unchanged"}, "now it is whole"


def test_one_attestation_lost_from_its_tag_is_made_again(signed: Signed) -> None:
    """The tag is there, and short of its last layer."""
    place = signed.tag_of(".att")
    media_type, content = signed.state.manifests[place[0], signed.state.tags[place]]
    document = json.loads(content)
    assert len(document["layers"]) == STATEMENTS
    document["layers"].pop()
    shorter = json.dumps(document).encode()
    signed.state.manifests[place[0], str(Digest.of(shorter))] = (media_type, shorter)
    signed.state.tags[place] = str(Digest.of(shorter))
    assert signed.results()["sign", "alpha"] == "signed"
    assert set(signed.results().values()) == {"unchanged"}


def test_a_signature_by_another_key_is_not_ours(signed: Signed) -> None:
    assert {r for (kind, _), r in signed.results("other").items() if kind == "sign"} == {"signed"}
    assert set(signed.results("other").values()) == {"unchanged"}
    assert set(signed.results().values()) == {"unchanged"}, "ours are still there"


def test_a_moved_tag_is_refused(signed: Signed) -> None:
    name = "linuxkit/alpha"
    (tag,) = (t for n, t in signed.state.tags if n == name and len(t) == 40)
    other = next(digest for digest in signed.built["alpha"].values())
    signed.state.tags[name, tag] = str(other.digest)
    refused = signed.push()
    assert refused.code == ExitCode.REGISTRY
    assert tag in refused.err
    assert not [seen for seen in signed.state.seen if seen.method not in ("GET", "HEAD") and "/alpha/" in seen.path]


@pytest.mark.parametrize("kind", [SIGN, PROVENANCE, SPDX], ids=["signature", "provenance", "SBOM"])
@pytest.mark.parametrize("part", ["manifest", "blob"])
def test_damaged_content_ends_the_command(kind: str, part: str, signed: Signed) -> None:
    """Bytes that are not what their digest says, of the same length: nobody may take them for what was signed."""
    manifest, blob = signed.bundle_of(kind)
    if part == "manifest":
        media_type, content = signed.state.manifests[manifest]
        signed.state.manifests[manifest] = (media_type, content.replace(b"dsse-envelope", b"dsse-envel0pe"))
    else:
        signed.state.blobs[blob] = signed.state.blobs[blob].replace(b"e", b"3", 1)
    ended = signed.push()
    assert ended.code == ExitCode.REGISTRY
    assert "other content" in ended.err


def test_a_pull_without_a_policy_reads_the_index_once(signed: Signed, tmp_path: Path) -> None:
    other = CommandLine(signed.pkgtool.directory, tmp_path / "other-store")
    signed.state.forget()
    pulled = other("pull", "--registry", signed.state.address, "--platform", "linux/amd64,linux/arm64", "--json").ok()
    assert [image["result"] for image in pulled.json["images"]] == ["pulled"] * 4
    tags = {tag for _, tag in signed.state.tags if len(tag) == 40}
    read = Counter(
        seen.path for seen in signed.state.seen if seen.method == "GET" and seen.path.rpartition("/")[2] in tags
    )
    assert len(read) == len(PACKAGES)
    assert set(read.values()) == {1}
