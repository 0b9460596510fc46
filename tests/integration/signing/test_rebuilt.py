"""`pkgtool attest-rebuild`: who got the same bytes says so, signed; who did not is told why, and says nothing."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from pkgtool.oci.documents import Descriptor, Index, Manifest
from pkgtool.oci.registry.repository import Registry
from pkgtool.values import Digest
from tests.integration.signing.conftest import Cosign
from tests.support.published import Published, Workshop

pytestmark = pytest.mark.xdist_group("signing rebuilt")
REBUILD = "https://pkgtool.dev/rebuild/v1"
BOTH = ("--platform", "linux/amd64,linux/arm64")


def rebuild(shop: Workshop, registry: str, *options: str, by: str = "ours", packages: tuple[str, ...] = ("app",)):
    return shop.pkgtool(
        "attest-rebuild", "--engine", "buildah", *shop.by(by), "--registry", registry, *options, *packages
    )


def test_two_rebuilders_are_demanded(released: Published, cosign: Cosign, tmp_path: Path) -> None:
    """Two of two: one has said it, then both have."""
    shop = released.shop
    policy = shop.tree.root.parent / "rebuilt.yml"
    policy.write_text(
        "signers: {one: {key: tree/keys/ours.pub}, two: {key: tree/keys/other.pub}}\n"
        "images:\n"
        "  - signatures: {by: [one]}\n"
        "    attestations: [{type: rebuild, by: [one, two], count: 2, on: platforms}]\n"
    )
    verify = ("verify", "--policy", str(policy), "--registry", released.registry, "app")
    none = shop.pkgtool(*verify)
    assert (none.code, "there is no rebuild attestation" in none.err) == (11, True)
    done = rebuild(shop, released.registry, *BOTH, "--json").ok().json
    assert done["attested"] == ["app"]
    assert [comparison["same"] for comparison in done["comparisons"]] == [True, True]
    one = shop.pkgtool(*verify)
    assert (one.code, "2 signers must have made the rebuild, and only one did (not two)" in one.err) == (11, True)
    # The second has another copy of the tree, nothing of the first's store, and one platform.
    other = shop.copy(tmp_path / "elsewhere")
    other = Workshop(other.tree, tmp_path / "store")
    other_key = shop.by("other")
    for platform in ("linux/amd64", "linux/arm64"):
        rebuilt = other.pkgtool(
            "attest-rebuild",
            "--engine",
            "buildah",
            *other_key,
            "--registry",
            released.registry,
            "--platform",
            platform,
            "app",
        )
        assert "same" in rebuilt.ok().out
    shop.pkgtool(*verify).ok()
    index, *manifests = released.references("app")
    for name, references in (("ours", (index, *manifests)), ("other", manifests)):
        key = ("--key", str(shop.public(name)), "--insecure-ignore-tlog", "--type", REBUILD)
        for reference in references:
            cosign("verify-attestation", *key, reference)
    # Who rebuilt the platforms one by one said nothing of the index.
    cosign("verify-attestation", *key, index, fails=True)


def test_a_rebuild_that_differs_is_refused_with_the_difference(released: Published) -> None:
    """Somebody published other content under the tag, signed by whomever: rebuilders find it."""
    shop = released.shop
    place = Published(shop, released.registry.replace("team", "trojan"), released.crane)
    place.push()
    exchange(place)
    place.shop.pkgtool("sign", *shop.by(), place.reference("app")).ok()
    before = place.everything()
    done = rebuild(shop, place.registry)
    assert done.code == 1
    assert "1 of 1 images came out differently; nothing was said about those packages" in done.err
    assert "app linux/amd64:" in done.err
    assert "app: size 8 → 4" in done.err
    assert "DIFFERENT" in done.out
    assert "hint: diffoscope" in done.err
    assert place.everything() == before, "nothing was attached"
    mixed = rebuild(shop, place.registry, "--json", packages=("app", "base"))
    assert (mixed.code, mixed.json["attested"]) == (1, ["base"])
    (app,) = (each for each in mixed.json["comparisons"] if each["package"] == "app")
    assert "app: size 8 → 4" in "\n".join(app["differences"])


def exchange(place: Published) -> None:
    """Put a trojan in the place of `app`'s only file, in every manifest under the tag."""
    host, _, path = place.repository("app").partition("/")
    tag = place.reference("app").rpartition(":")[2]
    with Registry(host) as registry:
        repository = registry.repository(path)
        got = repository.get_manifest(tag)
        assert got
        entries = []
        for entry in Index.parse(got[1], what="it").manifests:
            content = repository.get_manifest(entry.digest)
            assert content
            manifest = Manifest.parse(content[1], what="it")
            packed = trojan()
            layer = repository.write_blob(packed, manifest.layers[-1].media_type)
            config = json.loads(repository.read_blob(manifest.config))
            config["rootfs"]["diff_ids"][-1] = str(Digest.of(gzip.decompress(packed)))
            told = repository.write_blob(json.dumps(config).encode(), manifest.config.media_type)
            changed = Manifest(told, (*manifest.layers[:-1], layer))
            pushed = repository.put_manifest(changed.encode(), changed.media_type)
            entries.append(Descriptor(pushed.media_type, pushed.digest, pushed.size, platform=entry.platform))
        index = Index(tuple(entries))
        repository.put_manifest(index.encode(), index.media_type, tag=tag)


def trojan() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("app")
        member.size = len(b"a trojan")
        tar.addfile(member, io.BytesIO(b"a trojan"))
    return packed.getvalue()


def test_what_is_not_published_can_not_be_compared(released: Published) -> None:
    done = rebuild(released.shop, released.registry.replace("team", "nowhere"))
    assert (done.code, "is not published" in done.err) == (9, True)
