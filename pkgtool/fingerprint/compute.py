"""From packages and the state of their sources to fingerprints and tags. Pure: no clock, disk, or git.

Two kinds of tag, both 40 hex digits in a SHA-1 repository:

`tree`    A package that its own files and extra-sources determine has LinuxKit's tag (pkglib): the id T of its
          tree; with extra sources, sha1 over the hex digits of T and of theirs, in the order listed.
`record`  As soon as anything else determines it (other packages, arguments or settings from outside its files),
          the tag is the first 160 bits of the digest over the record of all of it.

A dirty package, and every package that stands on one, has the suffix `-dirty-` and seven more digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pkgtool import tag_template
from pkgtool.errors import ConfigError, Location
from pkgtool.fingerprint import record
from pkgtool.fingerprint.record import Value
from pkgtool.graph import in_order
from pkgtool.model import BuildArg, Dependency, Package
from pkgtool.source.entries import DIRECTORY
from pkgtool.values import Digest, ImageRef, Platform, is_tag

IMAGE_FORMAT = "2"
"""The version of the rules by which an engine's product is made canonical. Other rules give other bytes."""

_TAG_DIGITS = 40
_LONGEST_SUFFIX = "-mips64le"
_LONGEST_TAG = 128 - len(_LONGEST_SUFFIX)


class Facts(Protocol):
    """What is known of a path's content; `pkgtool.source.state.PathFacts` is one."""

    @property
    def mode(self) -> str: ...
    @property
    def committed(self) -> str: ...
    @property
    def current(self) -> str: ...
    @property
    def dirty_submodules(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def dirty(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class TagOverrides:
    """LinuxKit's `--hash`, `--hash-path` and `--force-dirty`."""

    content_hash: str = ""
    hash_path: str | None = None
    force_dirty: bool = False


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The record of all that determines a package, its digest, and the tag."""

    package: str
    record: Mapping[str, Value]
    digest: Digest
    kind: str
    content_hash: str
    reference: ImageRef
    dirty: bool
    build_args: Mapping[str, str]
    """Every build argument with its resolved value, except what depends on the platform."""

    @property
    def settings(self) -> Mapping[str, str]:
        """What the record holds of decisions outside of the package's own files."""
        found = self.record.get("settings", {})
        assert isinstance(found, Mapping)
        return {name: str(value) for name, value in found.items()}

    def platform_reference(self, platform: Platform) -> ImageRef:
        """The reference of one platform's image: LinuxKit's `TAG-ARCH`."""
        return ImageRef(self.reference.repository, f"{self.reference.tag}-{platform.suffix}", host=self.reference.host)


Fingerprints = Mapping[str, Fingerprint]


def compute(
    packages: Mapping[str, Package],
    facts: Callable[[str], Facts],
    *,
    names: Sequence[str] | None = None,
    overrides: TagOverrides | None = None,
) -> dict[str, Fingerprint]:
    """Fingerprints of `names` (none: all) and of everything they depend on, in dependency order.

    `facts` answers for each path of a package's context. `overrides` count for `names`, not for what they depend on.
    Raises whatever `facts` raises, and `ConfigError` for a tag that can't be.
    """
    asked = packages if names is None else frozenset(names)
    own, none = overrides or TagOverrides(), TagOverrides()
    done: dict[str, Fingerprint] = {}
    for name in in_order(packages, names):
        done[name] = _fingerprint(packages[name], facts, done, own if name in asked else none)
    return done


def _fingerprint(
    package: Package, facts: Callable[[str], Facts], done: Mapping[str, Fingerprint], overrides: TagOverrides
) -> Fingerprint:
    paths = [part.path for part in package.context]
    if overrides.hash_path is not None and paths:
        paths[0] = overrides.hash_path
    sources = [facts(path) for path in paths]
    arguments = _resolve_arguments(package, done)
    content = _record(package, sources, arguments, done, overrides)
    digest = record.digest(content)
    kind = "tree" if _determined_by_its_files(package) else "record"
    content_hash = overrides.content_hash or (_tree_hash(sources) if kind == "tree" else digest.hex[:_TAG_DIGITS])
    dirty = (
        overrides.force_dirty or any(s.dirty for s in sources) or any(done[d.name].dirty for d in package.dependencies)
    )
    if dirty and not overrides.content_hash:
        content_hash += f"-dirty-{digest.hex[:7]}"
    return Fingerprint(
        package=package.name,
        record=content,
        digest=digest,
        kind=kind,
        content_hash=content_hash,
        reference=_reference(package, content_hash),
        dirty=dirty,
        build_args=_all_arguments(package, arguments, content_hash),
    )


def _reference(package: Package, content_hash: str) -> ImageRef:
    tag = tag_template.render(package.tag_template, content_hash)
    if not is_tag(tag + _LONGEST_SUFFIX):
        raise ConfigError(
            f"{package.name} can't have the tag {tag!r}: at most {_LONGEST_TAG} letters, digits, . _ and -",
            location=Location(package.build_file),
        )
    return ImageRef.parse(f"{package.repository}:{tag}")


def _determined_by_its_files(package: Package) -> bool:
    return not (package.dependencies or package.outside_args or package.outside_settings)


def _tree_hash(sources: Sequence[Facts]) -> str:
    """LinuxKit's hash. What is not committed yet has only the id of what is there now."""
    ids = [source.committed or source.current for source in sources]
    if len(ids) == 1:
        return ids[0]
    return hashlib.sha1("".join(ids).encode(), usedforsecurity=False).hexdigest()


def _record(
    package: Package,
    sources: Sequence[Facts],
    arguments: Mapping[str, str],
    done: Mapping[str, Fingerprint],
    overrides: TagOverrides,
) -> dict[str, Value]:
    content: dict[str, Value] = {
        "image-format": IMAGE_FORMAT,
        "name": package.name,
        "sources": [_source(part.destination, s) for part, s in zip(package.context, sources, strict=True)],
    }
    if arguments:
        content["build-args"] = dict(arguments)
    if package.dependencies:
        content["dependencies"] = [list(edge) for edge in sorted(_edge(package, d, done) for d in package.dependencies)]
    settings = dict(package.outside_settings)
    if overrides.content_hash:
        settings["hash"] = overrides.content_hash
    if settings:
        content["settings"] = settings
    return content


def _edge(package: Package, dependency: Dependency, done: Mapping[str, Fingerprint]) -> tuple[str, str, str]:
    """A dependency by its own hash. Its organisation is inside its image, so it counts where it is another one."""
    other = done[dependency.name]
    repository = other.reference.name
    same = repository == f"{package.org}/{dependency.name}"
    return dependency.role.value, dependency.name, other.content_hash if same else f"{repository}:{other.content_hash}"


def _source(destination: str, source: Facts) -> dict[str, Value]:
    described: dict[str, Value] = {"destination": destination, "id": source.current}
    if source.mode != DIRECTORY:
        described["mode"] = source.mode
    if source.dirty_submodules:
        described["dirty-submodules"] = [list(pair) for pair in source.dirty_submodules]
    return described


def _resolve_arguments(package: Package, done: Mapping[str, Fingerprint]) -> dict[str, str]:
    """The arguments that are written down somewhere, in the order that lets later ones win."""
    values: dict[str, str] = {}
    for argument in (*package.build_args, *package.outside_args):
        if argument.refers_to:
            values.update(_references(argument, done))
        else:
            values[argument.name] = argument.value
    return values


def _references(argument: BuildArg, done: Mapping[str, Fingerprint]) -> dict[str, str]:
    found = {}
    for name in argument.refers_to:
        reference = done[name].reference
        stem = reference.name.replace("/", "_").replace("-", "_").upper()
        found[argument.name.replace("%", stem)] = str(reference)
    return found


def _all_arguments(package: Package, written: Mapping[str, str], content_hash: str) -> dict[str, str]:
    """The written arguments and those that LinuxKit sets when absent.

    LinuxKit gives REVISION the commit and GOPKGVERSION its time. Two commits with the same tree would then give
    other bytes under the same tag, so here both follow from the tag.
    """
    defaults = {
        "SOURCE": package.source_url,
        "REVISION": content_hash,
        "GOPKGVERSION": f"v0.0.0-20200101000000-{content_hash[:12]}",
        "PKG_HASH": content_hash,
        "PKG_IMAGE": package.repository,
    }
    return {**defaults, **written}
