"""Debian packages from dpkg's own record (deb-control(5), dpkg-query(1)).

The record is `/var/lib/dpkg/status`, or, in images that are put together from packages without dpkg, one file a
package in `/var/lib/dpkg/status.d/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pkgtool.sbom import purl
from pkgtool.sbom.model import Component, Kind

STATUS = "var/lib/dpkg/status"
STATUS_DIRECTORY = "var/lib/dpkg/status.d/"

_SOURCE = re.compile(r"(?P<name>\S+)(?:\s+\((?P<version>[^)]+)\))?\Z")
_BUILT_USING = re.compile(r"(?P<name>[^\s(]+)\s*\(=\s*(?P<version>[^)\s]+)\s*\)")
_RELATION = re.compile(r"([a-z0-9][a-z0-9+.-]*)")


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """An installed package, as its control paragraph has it."""

    name: str
    version: str
    arch: str
    source: str = ""
    source_version: str = ""
    maintainer: str = ""
    homepage: str = ""
    depends: tuple[tuple[str, ...], ...] = ()
    """Each dependency with its alternatives."""
    provides: tuple[str, ...] = ()
    built_using: tuple[tuple[str, str], ...] = ()
    """Source packages whose code is inside, with versions."""

    @property
    def purl(self) -> str:
        return purl.debian(self.name, self.version, self.arch)


def is_record(path: str) -> bool:
    """Whether a file of an image is part of dpkg's record."""
    return path == STATUS or (path.startswith(STATUS_DIRECTORY) and not path.endswith(".md5sums"))


def parse_record(content: str) -> list[DebianPackage]:
    """The packages of a status file that are installed; those that are only half there don't count."""
    found = []
    for paragraph in paragraphs(content):
        status = paragraph.get("Status", "install ok installed").split()
        if "Package" in paragraph and status[-1:] == ["installed"]:
            found.append(from_paragraph(paragraph))
    return found


def paragraphs(content: str) -> Iterator[dict[str, str]]:
    """Control paragraphs as dictionaries; continuation lines are joined by newlines."""
    current: dict[str, str] = {}
    name = ""
    for line in content.split("\n"):
        if not line.strip():
            if current:
                yield current
            current, name = {}, ""
        elif line[0] in " \t":
            if name:
                current[name] += "\n" + line.strip()
        else:
            name, _, value = line.partition(":")
            current[name] = value.strip()
    if current:
        yield current


def from_paragraph(paragraph: Mapping[str, str]) -> DebianPackage:
    """One package from its control paragraph."""
    name, version = paragraph["Package"], paragraph.get("Version", "")
    source = _SOURCE.match(paragraph.get("Source", name))
    relations = ", ".join(filter(None, (paragraph.get("Pre-Depends"), paragraph.get("Depends"))))
    using = ", ".join(filter(None, (paragraph.get("Built-Using"), paragraph.get("Static-Built-Using"))))
    return DebianPackage(
        name,
        version,
        paragraph.get("Architecture", ""),
        source["name"] if source else name,
        (source["version"] if source else None) or version,
        paragraph.get("Maintainer", "").replace("\n", " "),
        paragraph.get("Homepage", ""),
        tuple(alternatives for each in relations.split(",") if (alternatives := tuple(_names(each)))),
        tuple(_names(paragraph.get("Provides", "").replace(",", "|"))),
        tuple(sorted({(match["name"], match["version"]) for match in _BUILT_USING.finditer(using)})),
    )


def _names(relation: str) -> Iterator[str]:
    for alternative in relation.split("|"):
        match = _RELATION.match(alternative.strip())
        if match:
            yield match[1]


def components(packages: Iterable[DebianPackage], extra: Mapping[str, Component] | None = None) -> list[Component]:
    """Components with their dependencies among each other, and the sources that were compiled into them.

    `extra` maps purls to components that know more of the same package (a lock knows hash and URL).
    """
    installed = sorted(set(packages), key=lambda each: each.purl)
    providers = _providers(installed)
    sources: dict[str, Component] = {}
    found = []
    for package in installed:
        used = []
        for name, version in package.built_using:
            source = purl.debian(name, version, "source")
            sources[source] = Component(Kind.DEBIAN_SOURCE, name, version, source)
            used.append(source)
        more = (extra or {}).get(package.purl)
        found.append(
            Component(
                Kind.DEBIAN,
                package.name,
                package.version,
                package.purl,
                package.maintainer,
                f"{package.source} {package.source_version}".strip(),
                more.download if more else "",
                more.hashes if more else {},
                {"architecture": package.arch},
                more.locations if more else (),
                _dependencies(package, providers),
                tuple(used),
            )
        )
    return [*found, *sources.values()]


def _providers(packages: Iterable[DebianPackage]) -> dict[str, str]:
    """Which package a name stands for: the package itself before one that provides it."""
    found: dict[str, str] = {}
    listed = list(packages)
    for package in listed:
        found.setdefault(package.name, package.purl)
    for package in listed:
        for name in package.provides:
            found.setdefault(name, package.purl)
    return found


def _dependencies(package: DebianPackage, providers: Mapping[str, str]) -> tuple[str, ...]:
    chosen = (
        next((providers[name] for name in alternatives if name in providers), None) for alternatives in package.depends
    )
    return tuple(sorted({each for each in chosen if each and each != package.purl}))
