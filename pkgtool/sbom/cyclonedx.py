"""CycloneDX 1.6 documents (cyclonedx.org/docs/1.6/json), as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pkgtool.sbom import purl
from pkgtool.sbom.identity import unique_id
from pkgtool.sbom.model import Component, Inventory, Kind, Subject

_TYPES = {
    Kind.DEBIAN: "library",
    Kind.DEBIAN_SOURCE: "library",
    Kind.GO_MODULE: "library",
    Kind.KERNEL: "operating-system",
    Kind.FIRMWARE: "firmware",
}
_ALGORITHMS = {"sha256": "SHA-256", "sha512": "SHA-512"}


def document(subject: Subject) -> dict[str, Any]:
    """The document of an image or an index."""
    components = subject.components
    images = [] if _is_single(subject) else [_image(subject, each) for each in subject.inventories]
    result: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(subject.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [_tool(subject)]},
            "component": _root(subject),
        },
        "components": [*images, *(_component(each) for each in components)],
        "dependencies": _dependencies(subject, components),
    }
    result["serialNumber"] = f"urn:uuid:{unique_id(subject.digest, result)}"
    return result


def _is_single(subject: Subject) -> bool:
    return len(subject.inventories) == 1 and subject.inventories[0].manifest == subject.digest


def _tool(subject: Subject) -> dict[str, str]:
    tool = {"type": "application", "name": "pkgtool"}
    return {**tool, "version": subject.tool_version} if subject.tool_version else tool


def _root(subject: Subject) -> dict[str, Any]:
    result: dict[str, Any] = {
        "type": "container",
        "bom-ref": subject.purl,
        "name": subject.name,
        "version": subject.version,
        "hashes": [{"alg": "SHA-256", "content": subject.digest.hex}],
        "purl": subject.purl,
    }
    if subject.source:
        result["externalReferences"] = [{"type": "vcs", "url": subject.source}]
    return result


def _image_reference(subject: Subject, inventory: Inventory) -> str:
    return purl.oci(subject.name, inventory.manifest, subject.version)


def _image(subject: Subject, inventory: Inventory) -> dict[str, Any]:
    link = _image_reference(subject, inventory)
    return {
        "type": "container",
        "bom-ref": link,
        "name": f"{subject.name} {inventory.platform}",
        "version": subject.version,
        "hashes": [{"alg": "SHA-256", "content": inventory.manifest.hex}],
        "purl": link,
    }


def _component(component: Component) -> dict[str, Any]:
    result: dict[str, Any] = {"type": _TYPES[component.kind], "bom-ref": component.purl, "name": component.name}
    if component.version:
        result["version"] = component.version
    if component.supplier:
        result["supplier"] = {"name": component.supplier}
    hashes = [
        {"alg": _ALGORITHMS[name], "content": value}
        for name, value in sorted(component.hashes.items())
        if name in _ALGORITHMS
    ]
    if hashes:
        result["hashes"] = hashes
    result["purl"] = component.purl
    if component.download:
        result["externalReferences"] = [{"type": "distribution", "url": component.download}]
    properties = {**component.properties, **({"source": component.source} if component.source else {})}
    if properties:
        result["properties"] = [
            {"name": f"pkgtool:{name}", "value": value} for name, value in sorted(properties.items())
        ]
    if component.locations:
        result["evidence"] = {"occurrences": [{"location": path} for path in component.locations]}
    return result


def _dependencies(subject: Subject, components: list[Component]) -> list[dict[str, Any]]:
    """The graph: a container's content are its dependencies, and those of a component what it needs or is made from."""
    graph: dict[str, set[str]] = {subject.purl: set()}
    for inventory in subject.inventories:
        top = subject.purl
        if not _is_single(subject):
            top = _image_reference(subject, inventory)
            graph[subject.purl].add(top)
        inside = {each.purl for each in inventory.components if each.kind is not Kind.DEBIAN_SOURCE}
        graph.setdefault(top, set()).update(inside)
    for each in components:
        graph.setdefault(each.purl, set()).update(each.depends, each.generated_from)
    return [{"ref": name, "dependsOn": sorted(graph[name])} for name in sorted(graph)]
