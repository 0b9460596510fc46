"""SPDX 2.3 documents (spdx.github.io/spdx-spec/v2.3), as JSON: what cosign calls `spdxjson`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pkgtool.sbom import purl
from pkgtool.sbom.identity import unique_id
from pkgtool.sbom.model import Component, Inventory, Kind, Subject

NAMESPACE = "https://pkgtool.dev/spdx"
_NONE = "NOASSERTION"
_PURPOSES = {
    Kind.DEBIAN: "LIBRARY",
    Kind.DEBIAN_SOURCE: "SOURCE",
    Kind.GO_MODULE: "LIBRARY",
    Kind.KERNEL: "OPERATING-SYSTEM",
    Kind.FIRMWARE: "FIRMWARE",
}
_MAINTAINER = re.compile(r"(?P<name>[^<]*?)\s*<(?P<address>[^>]+)>\Z")


def document(subject: Subject) -> dict[str, Any]:
    """The document of an image or an index."""
    created = datetime.fromtimestamp(subject.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    result: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{subject.name}-{subject.version}",
        "documentNamespace": "",
        "creationInfo": {"created": created, "creators": [f"Tool: pkgtool-{subject.tool_version or 'unknown'}"]},
        "packages": [*_images(subject), *(_package(each) for each in subject.components)],
        "relationships": _relationships(subject),
    }
    result["documentNamespace"] = f"{NAMESPACE}/{subject.name}/{unique_id(subject.digest, result)}"
    return result


def _images(subject: Subject) -> list[dict[str, Any]]:
    root = _container(_root_id(subject), subject.name, subject.version, subject.digest.hex, subject.purl)
    if subject.source:
        root["sourceInfo"] = f"built from {subject.source}"
    if _is_single(subject):
        return [root]
    images = []
    for each in subject.inventories:
        name = f"{subject.name} {each.platform}"
        link = purl.oci(subject.name, each.manifest, subject.version)
        images.append(_container(_image_id(each), name, subject.version, each.manifest.hex, link))
    return [root, *images]


def _container(identifier: str, name: str, version: str, sha256: str, link: str) -> dict[str, Any]:
    return {
        "SPDXID": identifier,
        "name": name,
        "versionInfo": version,
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": _NONE,
        "filesAnalyzed": False,
        "licenseConcluded": _NONE,
        "licenseDeclared": _NONE,
        "copyrightText": _NONE,
        "checksums": [{"algorithm": "SHA256", "checksumValue": sha256}],
        "externalRefs": [_reference(link)],
    }


def _package(component: Component) -> dict[str, Any]:
    result: dict[str, Any] = {"SPDXID": _id(component.purl), "name": component.name}
    if component.version:
        result["versionInfo"] = component.version
    result |= {
        "primaryPackagePurpose": _PURPOSES[component.kind],
        "supplier": _supplier(component.supplier),
        "downloadLocation": component.download or _NONE,
        "filesAnalyzed": False,
        "licenseConcluded": _NONE,
        "licenseDeclared": _NONE,
        "copyrightText": _NONE,
    }
    if component.source:
        result["sourceInfo"] = f"built from the source package {component.source}"
    if component.hashes:
        result["checksums"] = [
            {"algorithm": name.upper(), "checksumValue": value} for name, value in sorted(component.hashes.items())
        ]
    notes = [f"{name}: {value}" for name, value in sorted(component.properties.items())]
    notes += [f"found in: {path}" for path in component.locations]
    if notes:
        result["comment"] = "\n".join(notes)
    result["externalRefs"] = [_reference(component.purl)]
    return result


def _reference(link: str) -> dict[str, str]:
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": link}


def _supplier(maintainer: str) -> str:
    if not maintainer:
        return _NONE
    match = _MAINTAINER.match(maintainer)
    return (
        f"Organization: {match['name'] or match['address']} ({match['address']})"
        if match
        else f"Organization: {maintainer}"
    )


def _relationships(subject: Subject) -> list[dict[str, str]]:
    root = _root_id(subject)
    found = [("SPDXRef-DOCUMENT", "DESCRIBES", root)]
    for inventory in subject.inventories:
        image = root if _is_single(subject) else _image_id(inventory)
        if image != root:
            found.append((root, "CONTAINS", image))
        found += _of_inventory(image, inventory)
    return [
        {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": related}
        for element, kind, related in dict.fromkeys(found)
    ]


def _of_inventory(image: str, inventory: Inventory) -> Iterable[tuple[str, str, str]]:
    for each in inventory.components:
        # The source of something compiled in is not itself in the image.
        if each.kind is not Kind.DEBIAN_SOURCE:
            yield image, "CONTAINS", _id(each.purl)
        for other in each.depends:
            yield _id(each.purl), "DEPENDS_ON", _id(other)
        for other in each.generated_from:
            yield _id(each.purl), "STATIC_LINK" if each.kind is Kind.GO_MODULE else "GENERATED_FROM", _id(other)


def _is_single(subject: Subject) -> bool:
    return len(subject.inventories) == 1 and subject.inventories[0].manifest == subject.digest


def _root_id(subject: Subject) -> str:
    return f"SPDXRef-Root-{subject.digest.hex[:16]}"


def _image_id(inventory: Inventory) -> str:
    return f"SPDXRef-Image-{inventory.manifest.hex[:16]}"


def _id(link: str) -> str:
    """An identifier may hold letters, digits, dots and hyphens; the digest keeps different purls apart."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", link.removeprefix("pkg:").partition("?")[0])
    return f"SPDXRef-{readable}-{hashlib.sha256(link.encode()).hexdigest()[:12]}"
