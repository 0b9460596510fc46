"""`pkgtool push --sign` and `pkgtool sign` on a real registry: what they leave there an unmodified cosign 3 accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.signing.conftest import Cosign, Tools
from tests.support.command_line import CommandLine
from tests.support.published import PACKAGES, Published, Workshop
from tests.support.registry.registries import docker_registry, referrers_registry
from tests.support.sbom_validators import cyclonedx_problems, spdx_problems
from tests.support.sigstore_standin import Standin

pytestmark = pytest.mark.xdist_group("signing command line")
OLD_FORMAT = "--new-bundle-format=false"
NO_LOG = "--insecure-ignore-tlog"
TYPES = ("slsaprovenance1", "spdxjson", "cyclonedx")
WHO = "ci@pkgtool.example"


@pytest.fixture(scope="module", params=["fallback tags", "referrers API"])
def pushed(
    request: pytest.FixtureRequest,
    workshop: Workshop,
    offline: None,
    tools: Tools,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Published]:
    kinds = {
        "fallback tags": lambda: docker_registry(tmp_path_factory.mktemp("pushed")),
        "referrers API": referrers_registry,
    }
    with kinds[request.param]() as address:
        done = Published(workshop, f"{address}/team", tools.crane)
        done.push("--sign", *workshop.by())
        yield done


def test_cosign_accepts_every_digest(pushed: Published, cosign: Cosign) -> None:
    key = ("--key", str(pushed.shop.public()), NO_LOG)
    references = list(pushed.references())
    assert len(references) == len(PACKAGES) * 3
    for reference in references:
        cosign("verify", *key, reference)
        cosign("verify", *key, OLD_FORMAT, reference)
        for kind in TYPES:
            cosign("verify-attestation", *key, "--type", kind, reference)
    for reference in (*references[:2], pushed.reference("app")):
        for kind in TYPES:
            cosign("verify-attestation", *key, OLD_FORMAT, "--type", kind, reference)
    cosign("verify", "--key", str(pushed.shop.public("other")), NO_LOG, references[0], fails=True)


def test_pushing_and_signing_again_adds_nothing(pushed: Published, tmp_path: Path) -> None:
    before = pushed.everything()
    again = pushed.push("--sign", *pushed.shop.by(), "--json").json
    assert {step["result"] for step in again["steps"] if step["step"] == "sign"} == {"unchanged"}
    pushed.shop.pkgtool("sign", *pushed.shop.by(), "--registry", pushed.registry).ok()
    references = [pushed.reference(name) for name in PACKAGES]
    for done in pushed.shop.pkgtool("sign", "--json", *pushed.shop.by(), *references).ok().json:
        assert (done["signatures"], done["new"]) == (6, 0)
    later = pushed.shop.copy(tmp_path / "later")
    later.tree.write("README", "no package is changed by this")
    later.tree.commit()
    later.pkgtool("push", "--sign", *later.by(), "--registry", pushed.registry).ok()
    assert pushed.everything() == before


def test_an_image_that_somebody_else_pushed_is_signed_by_its_reference(
    workshop: Workshop, released: Published, cosign: Cosign, tmp_path: Path
) -> None:
    elsewhere = Published(workshop, released.registry.replace("team", "unsigned"), released.crane)
    elsewhere.push("app")
    (reference, *_rest) = references = list(elsewhere.references("app"))
    key = ("--key", str(workshop.public("other")), NO_LOG)
    cosign("verify", *key, reference, fails=True)
    no_tree = workshop.pkgtool("-C", str(tmp_path), "sign", *workshop.by("other"), "-a", "stage=test", reference)
    assert "6 new of 6 signatures" in no_tree.ok().out
    for each in references:
        cosign("verify", *key, "-a", "stage=test", each)
        cosign("verify", *key, "-a", "stage=test", OLD_FORMAT, each)
    assert "0 new of 6" in workshop.pkgtool("sign", *workshop.by("other"), "-a", "stage=test", reference).ok().out
    assert "6 new of 6" in workshop.pkgtool("sign", *workshop.by(), "-a", "stage=test", reference).ok().out


def test_two_builds_have_the_same_sboms(workshop: Workshop, tmp_path: Path) -> None:
    """And what dpkg's record says of each platform is in them."""
    again = workshop.copy(tmp_path / "another place")
    other = CommandLine(again.tree.root, tmp_path / "store")
    other("build", "--engine", "buildah", "--platform", "linux/amd64,linux/arm64").ok()
    for form in ("spdx", "cyclonedx"):
        for platform in ("linux/amd64", "linux/arm64"):
            sbom = ("sbom", "--format", form, "--platform", platform)
            first, second = workshop.pkgtool(*sbom).ok().out, other(*sbom).ok().out
            assert first == second
            assert f'"pkg:deb/debian/libsmall@1.2-3?arch={platform.partition("/")[2]}"' in first
            assert len(json.loads(first)) == len(PACKAGES)
            assert (spdx_problems if form == "spdx" else cyclonedx_problems)(json.loads(first)[0]) in ([], None)


@pytest.mark.parametrize("version", [1, 2])
def test_with_a_log_and_a_timestamp(
    workshop: Workshop, released: Published, instance: Standin, cosign: Cosign, version: int
) -> None:
    logged = Published(workshop, released.registry.replace("team", f"logged{version}"), released.crane)
    services = ("--signing-config", str(instance.signing_config(version)), "--trusted-root", str(instance.trusted_root))
    logged.push("--sign", *workshop.by(), *services)
    key = ("--key", str(workshop.public()), "--trusted-root", str(instance.trusted_root))
    for reference in logged.references("app"):
        cosign("verify", *key, reference)
        for kind in TYPES:
            cosign("verify-attestation", *key, "--type", kind, reference)
    before = logged.everything()
    logged.push("--sign", *workshop.by(), *services)
    assert logged.everything() == before
    cosign("verify", *key, next(released.references()), fails=True)  # signed, and not logged

    policy = workshop.tree.root / "policy.yml"
    strict = workshop.tree.root.parent / f"logged{version}.yml"
    strict.write_text(
        policy.read_text()
        .replace("keys/", "tree/keys/")
        .replace("{by: [ours]}\n    att", "{by: [ours], log: true}\n    att")
        + f"trusted-root: {instance.trusted_root}\n"
    )
    here = ("verify", "--policy", str(strict), "--registry")
    workshop.pkgtool(*here, logged.registry).ok()
    refused = workshop.pkgtool(*here, released.registry)
    assert refused.code == 11
    assert "the signature by ours is not in a trusted transparency log" in refused.err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sigstore leaves its sockets open
@pytest.mark.parametrize("version", [1, 2])
def test_keyless(
    workshop: Workshop,
    released: Published,
    instance: Standin,
    cosign: Cosign,
    version: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", instance.token(WHO))
    ours = Published(workshop, released.registry.replace("team", f"keyless{version}"), released.crane)
    who = ("--keyless", "--trust-config", str(instance.trust_config(version)))
    ours.push("--sign", *who)
    identity = ("--certificate-identity", WHO, "--certificate-oidc-issuer", instance.url)
    root = ("--trusted-root", str(instance.trusted_root))
    for reference in ours.references("app"):
        cosign("verify", *identity, *root, reference)
        for kind in TYPES:
            cosign("verify-attestation", *identity, *root, "--type", kind, reference)
    cosign("verify", "--certificate-identity", "x@y.example", *identity[2:], *root, reference, fails=True)
    before = ours.everything()
    ours.push("--sign", *who)
    assert ours.everything() == before

    policy = workshop.tree.root.parent / f"keyless{version}.yml"
    signers = f"signers:\n  ours: {{identity: {WHO}, issuer: {instance.url}}}\n"
    rules = (workshop.tree.root / "policy.yml").read_text().partition("images:")
    policy.write_text(f"{signers}images:{rules[2]}trusted-root: {instance.trusted_root}\n")
    workshop.pkgtool("verify", "--policy", str(policy), "--registry", ours.registry).ok()
    refused = workshop.pkgtool("verify", "--policy", str(policy), "--registry", released.registry)
    assert refused.code == 11
    assert "is not by a trusted key" in refused.err
