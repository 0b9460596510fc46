"""Images that were taken from a registry and not built: who signs them adds nothing that their builder said better."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pkgtool.oci.store import Store
from pkgtool.oci.store.statements import INVENTORY
from pkgtool.sbom import cache
from pkgtool.values import Digest
from tests.integration.signing.conftest import Cosign, Tools
from tests.support.published import PACKAGES, Published, Workshop
from tests.support.registry.registries import docker_registry

pytestmark = pytest.mark.xdist_group("signing pulled")
NO_LOG = "--insecure-ignore-tlog"
BOTH = ("--platform", "linux/amd64,linux/arm64")
KNOWN_TO_THE_BUILDER = "a" * 64


@pytest.fixture(scope="module")
def builder(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Who built the tree, and knows more of each package than can be seen in the image: its .deb's hash."""
    place = tmp_path_factory.mktemp("builder")
    shutil.copytree(workshop.store, place / "store", symlinks=True)
    shutil.copytree(workshop.store.parent / "private", place / "private")
    shutil.copytree(workshop.tree.root, place / "tree", symlinks=True)
    mine = Workshop(replace(workshop.tree, root=place / "tree"), place / "store")
    store = Store(mine.store)
    for entry in mine.pkgtool("build", "--engine", "buildah", *BOTH, "--json").ok().json["images"]:
        digest = Digest.parse(entry["digest"])
        content = store.statements.read(digest, INVENTORY)
        assert content is not None
        inventory = cache.load(content, what="a test")
        assert inventory is not None
        known = tuple(replace(each, hashes={"sha256": KNOWN_TO_THE_BUILDER}) for each in inventory.components)
        store.statements.write(digest, INVENTORY, cache.dump(replace(inventory, components=known)))
    return mine


@pytest.fixture(scope="module")
def host(offline: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("pulled")) as address:
        yield address


@pytest.fixture
def puller(builder: Workshop, tmp_path: Path) -> Workshop:
    """Somebody with the same tree, the same keys, and nothing in the store."""
    shutil.copytree(builder.store.parent / "private", tmp_path / "private")
    return Workshop(builder.copy(tmp_path / "tree").tree, tmp_path / "store")


@pytest.fixture(scope="module")
def signed(builder: Workshop, host: str, tools: Tools) -> Published:
    done = Published(builder, f"{host}/signed", tools.crane)
    done.push("--sign", *builder.by())
    return done


def attested(cosign: Cosign, shop: Workshop, reference: str, kind: str, by: str) -> list[Any]:
    """The predicates that cosign accepts as this signer's."""
    options = ("verify-attestation", "--key", str(shop.public(by)), NO_LOG, "--type", kind)
    lines = cosign(*options, reference).stdout.splitlines()
    return [json.loads(base64.b64decode(json.loads(line)["payload"]))["predicate"] for line in lines]


def shown(shop: Workshop, *command: str) -> Any:
    return shop.pkgtool(*command, *BOTH, *PACKAGES).ok().json


def test_what_the_policy_accepted_comes_along_and_is_passed_on(
    builder: Workshop, puller: Workshop, signed: Published, cosign: Cosign
) -> None:
    puller.pkgtool("pull", "--registry", signed.registry).ok()
    for command in (("sbom",), ("sbom", "--format", "cyclonedx"), ("provenance",)):
        assert shown(puller, *command) == shown(builder, *command)
    assert KNOWN_TO_THE_BUILDER in json.dumps(shown(puller, "sbom"))
    nothing = puller.pkgtool("provenance", "--platform", "linux/riscv64", "app")
    assert (nothing.code, "none of these packages is made for linux/riscv64" in nothing.err) == (2, True)

    # The same key has nothing to add, by either command.
    before = signed.everything()
    here = replace(signed, shop=puller)
    again = here.push("--sign", *puller.by(), "--json").json
    assert {step["result"] for step in again["steps"] if step["step"] == "sign"} == {"unchanged"}
    puller.pkgtool("sign", *puller.by(), "--registry", signed.registry).ok()
    assert signed.everything() == before

    # Another key says the same.
    puller.pkgtool("sign", *puller.by("other"), "--registry", signed.registry, "base").ok()
    for reference in signed.references("base"):
        for kind in ("spdxjson", "cyclonedx", "slsaprovenance1"):
            theirs = attested(cosign, builder, reference, kind, "ours")
            assert attested(cosign, builder, reference, kind, "other") == theirs
            assert len(theirs) == 1
    after = signed.everything()
    assert after != before
    puller.pkgtool("sign", *puller.by("other"), "--registry", signed.registry, "base").ok()
    assert signed.everything() == after


def test_without_a_policy_nothing_is_repeated(
    builder: Workshop, puller: Workshop, host: str, tools: Tools, cosign: Cosign
) -> None:
    """Nobody has verified what came along, so nobody else signs it; and a poorer SBOM beside it would help no one."""
    published = Published(builder, f"{host}/unverified", tools.crane)
    published.push("--sign", *builder.by())
    (puller.tree.root / "policy.yml").unlink()
    puller.pkgtool("pull", "--registry", published.registry).ok()
    refused = puller.pkgtool("provenance", "base")
    assert "no policy verified it" in refused.err
    assert KNOWN_TO_THE_BUILDER not in json.dumps(shown(puller, "sbom"))

    before = published.everything()
    puller.pkgtool("sign", *puller.by(), "--registry", published.registry).ok()
    assert published.everything() == before
    puller.pkgtool("sign", *puller.by("other"), "--registry", published.registry).ok()
    for reference in published.references():
        cosign("verify", "--key", str(builder.public("other")), NO_LOG, reference)
        for kind in ("spdxjson", "slsaprovenance1"):
            other = ("verify-attestation", "--key", str(builder.public("other")), NO_LOG, "--type", kind)
            cosign(*other, reference, fails=True)


def test_where_nobody_has_said_anything_the_signer_says_what_can_be_seen(
    builder: Workshop, puller: Workshop, host: str, tools: Tools, cosign: Cosign
) -> None:
    published = Published(builder, f"{host}/unsigned", tools.crane)
    published.push()
    (puller.tree.root / "policy.yml").unlink()
    puller.pkgtool("pull", "--registry", published.registry).ok()
    puller.pkgtool("sign", *puller.by("other"), "--registry", published.registry).ok()
    (index, *images) = published.references("base")
    for reference in (index, *images):
        (sbom,) = attested(cosign, builder, reference, "spdxjson", "other")
        assert {"small", "libsmall"} <= {package["name"] for package in sbom["packages"]}
        assert KNOWN_TO_THE_BUILDER not in json.dumps(sbom)
    assert attested(cosign, builder, index, "slsaprovenance1", "other")
    other = ("verify-attestation", "--key", str(builder.public("other")), NO_LOG, "--type", "slsaprovenance1")
    cosign(*other, images[0], fails=True)  # how it was built nobody here can know
    before = published.everything()
    puller.pkgtool("sign", *puller.by("other"), "--registry", published.registry).ok()
    assert published.everything() == before


def test_the_job_that_makes_the_indexes_adds_nothing_to_the_images(
    builder: Workshop, puller: Workshop, host: str, tools: Tools, cosign: Cosign
) -> None:
    """Jobs build and sign a platform each; the last one, with an empty store, takes the images and makes indexes."""
    published = Published(builder, f"{host}/jobs", tools.crane)
    for platform in ("linux/amd64", "linux/arm64"):
        published.push("--no-index", "--platform", platform, "--sign", *builder.by())
    replace(published, shop=puller).push("--sign", *puller.by())
    puller.pkgtool("verify", "--registry", published.registry).ok()
    for package in PACKAGES:
        index, *images = published.references(package)
        for image in images:
            (sbom,) = attested(cosign, builder, image, "spdxjson", "ours")
            assert KNOWN_TO_THE_BUILDER in json.dumps(sbom)
        for kind in ("spdxjson", "cyclonedx", "slsaprovenance1"):
            assert len(attested(cosign, builder, index, kind, "ours")) == 1
