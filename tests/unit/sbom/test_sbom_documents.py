"""SPDX and CycloneDX: accepted by their own validators, complete, and the same every time."""

import json
from dataclasses import replace

import pytest
from packageurl import PackageURL

from pkgtool.oci.documents import encode
from pkgtool.sbom import cyclonedx, debian, spdx
from pkgtool.sbom.inventory import take_inventory
from pkgtool.sbom.model import Inventory, Kind, Subject
from pkgtool.values import Digest
from tests.support.registry.images import AMD64, ARM64
from tests.support.sbom_validators import cyclonedx_problems, spdx_problems
from tests.unit.sbom.test_sbom_inventory import STATUS, files, go_program

EPOCH = 1577836800


def inventory(platform=AMD64, status: str = STATUS) -> Inventory:
    info = b"KERNEL_VERSION=6.12.1\nKERNEL_SOURCE=https://kernel.org/linux.tar.xz sha256:" + b"a" * 64 + b"\n"
    content = {
        debian.STATUS: status.encode(),
        "usr/bin/tool": go_program(),
        "kernel-source-info": info,
        "lib/firmware/a b/c.bin": b"firmware",
    }
    return take_inventory(files(content), platform=platform, manifest=Digest.of(str(platform).encode()))


def single() -> Subject:
    found = inventory()
    return Subject("linuxkit/getty", "v1", found.manifest, (found,), EPOCH, "1.0", "https://example.org/tree")


def index() -> Subject:
    arm = inventory(ARM64, STATUS.replace("amd64", "arm64"))
    return Subject("linuxkit/getty", "v1", Digest.of(b"index"), (inventory(), arm), EPOCH, "1.0")


def empty() -> Subject:
    nothing = Inventory(AMD64, Digest.of(b"m"), ())
    return Subject("linuxkit/empty", "v1", nothing.manifest, (nothing,), EPOCH)


SUBJECTS = pytest.mark.parametrize("subject", [single(), index(), empty()], ids=["image", "index", "empty"])


@SUBJECTS
def test_spdx_is_valid(subject: Subject) -> None:
    assert spdx_problems(spdx.document(subject)) == []


@SUBJECTS
def test_cyclonedx_is_valid(subject: Subject) -> None:
    assert cyclonedx_problems(cyclonedx.document(subject)) is None


@SUBJECTS
@pytest.mark.parametrize("writer", [spdx, cyclonedx])
def test_the_same_image_gives_the_same_bytes(subject: Subject, writer) -> None:
    shuffled = replace(
        subject,
        inventories=tuple(replace(each, components=tuple(each.components)) for each in subject.inventories),
    )
    assert encode(writer.document(subject)) == encode(writer.document(shuffled))


@pytest.mark.parametrize(("writer", "key"), [(spdx, "documentNamespace"), (cyclonedx, "serialNumber")])
def test_other_content_has_another_identity(writer, key: str) -> None:
    found = {
        writer.document(subject)[key]
        for subject in (
            single(),
            index(),
            empty(),
            replace(single(), version="v2"),
            replace(single(), created=EPOCH + 1),
        )
    }
    assert len(found) == 5


def test_both_formats_name_the_same_components() -> None:
    for subject in (single(), index()):
        in_spdx = {
            reference["referenceLocator"]
            for package in spdx.document(subject)["packages"]
            for reference in package["externalRefs"]
        }
        document = cyclonedx.document(subject)
        in_cyclonedx = {each["purl"] for each in (document["metadata"]["component"], *document["components"])}
        assert in_spdx == in_cyclonedx
        assert {each.purl for each in subject.components} < in_spdx


def test_every_purl_is_written_as_the_specification_writes_it() -> None:
    for component in index().components:
        assert PackageURL.from_string(component.purl).to_string() == component.purl


def test_the_time_is_the_source_date_epoch() -> None:
    assert spdx.document(single())["creationInfo"]["created"] == "2020-01-01T00:00:00Z"
    assert cyclonedx.document(single())["metadata"]["timestamp"] == "2020-01-01T00:00:00Z"


def test_an_index_contains_its_images_and_they_their_components() -> None:
    subject = index()
    document = spdx.document(subject)
    contains = {
        (each["spdxElementId"], each["relatedSpdxElement"])
        for each in document["relationships"]
        if each["relationshipType"] == "CONTAINS"
    }
    names = {package["SPDXID"]: package["name"] for package in document["packages"]}
    assert ("linuxkit/getty", "linuxkit/getty linux/arm64") in {(names[a], names[b]) for a, b in contains}
    inside = [b for a, b in contains if names[a] == "linuxkit/getty linux/arm64"]
    held = [each for each in subject.inventories[1].components if each.kind is not Kind.DEBIAN_SOURCE]
    assert len(inside) == len(held)


def test_nothing_of_this_machine_is_in_a_document() -> None:
    import getpass
    import socket

    for writer in (spdx, cyclonedx):
        text = json.dumps(writer.document(single()))
        assert socket.gethostname() not in text
        assert f'"{getpass.getuser()}"' not in text
