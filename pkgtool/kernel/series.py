"""kernel/series/*.yml → `Series`: each kernel line as frozen data, every problem with its place.

Adding a series is adding a file. Reading needs only the tree's own files: no kernel source, no network.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pkgtool.config import typed
from pkgtool.config.yaml_reader import Source, locate
from pkgtool.errors import ConfigError, KernelError, Location, raise_all
from pkgtool.kernel.schema import ReleaseFile, SeriesFile
from pkgtool.source.trees import SourceTree
from pkgtool.values import Digest, Platform

DIRECTORY = "kernel"
_FINGERPRINT = re.compile(r"[0-9A-F]{40}\Z")
_URL = re.compile(r"(?:https?|file|git|ssh)://\S+\Z")


@dataclass(frozen=True, slots=True)
class DebianSource:
    """A linux-source package in Debian's archive."""

    suite: str
    package: str
    version: str


@dataclass(frozen=True, slots=True)
class Release:
    """One release of a series. Either `url` with its digest, or `git` with a commit."""

    version: str
    url: str = ""
    sha256: Digest | None = None
    git: str = ""
    commit: str = ""
    mirrors: tuple[str, ...] = ()
    patches: tuple[str, ...] = ()
    debian: DebianSource | None = None

    @property
    def file_name(self) -> str:
        """The name of the source file among a build's inputs."""
        return posixpath.basename(self.url)


@dataclass(frozen=True, slots=True)
class UpstreamSignature:
    """Who signs a release upstream. `over_tar`: the signature is over the uncompressed tar."""

    url: str
    over_tar: bool
    signers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """A kernel line. `variants` are lists of configuration fragments in reading order."""

    name: str
    version: str
    end_of_life: date
    releases: Mapping[str, Release]
    compiler: str
    tool: str
    platforms: tuple[Platform, ...]
    variants: Mapping[str, tuple[str, ...]]
    module_hash: str
    enforce: bool
    signature: UpstreamSignature | None = None
    objects: Mapping[str, int] = field(default_factory=dict)
    """By variant, about how many objects a build compiles. It is for the progress of first builds, and in no tag."""
    location: Location | None = field(default=None, compare=False)

    def release(self, version: str = "") -> Release:
        """A pinned release, by default the series' own. Raises `KernelError` for one that is not pinned."""
        found = self.releases.get(version or self.version)
        if found is None:
            raise KernelError(
                f"{version} is not pinned in series {self.name}",
                location=self.location,
                hint=f"pinned: {', '.join(self.releases)}; or add it under `releases` with its sha256",
            )
        return found

    def fragments(self, variant: str = "plain") -> tuple[str, ...]:
        """The configuration fragments of a variant, with those that carry the signing rules of the series."""
        if variant not in self.variants:
            raise KernelError(
                f"series {self.name} has no variant {variant!r}",
                location=self.location,
                hint=f"variants: {', '.join(self.variants)}",
            )
        permissive = () if self.enforce else ("signing-permissive",)
        return (*self.variants[variant], f"signing-{self.module_hash}", *permissive)

    def is_over(self, day: date) -> bool:
        """Whether upstream support has ended by `day`."""
        return day > self.end_of_life


def read_all(tree: SourceTree, names: tuple[str, ...]) -> dict[str, Series]:
    """The named series of a tree, oldest first. Raises `ConfigError`, or `Problems` with everything found."""
    found: list[Series] = []
    problems: list[ConfigError] = []
    for name in names:
        series, more = read(tree, name)
        problems += more
        if series:
            found.append(series)
    raise_all(problems)
    return {series.name: series for series in sorted(found, key=lambda s: _numbers(s.name))}


def read(tree: SourceTree, name: str) -> tuple[Series | None, list[ConfigError]]:
    """One series, or None, and all problems of its file."""
    path = f"{DIRECTORY}/series/{name}.yml"
    content = tree.read(path)
    if content is None:
        return None, [ConfigError(f"there is no series {name!r}", location=Location(path), hint="pkgtool kernel list")]
    source = Source(path, content)
    schema, problems = typed.read(source, SeriesFile)
    if schema is None:
        return None, problems
    return _Reader(tree, source, schema, name).series()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


class _Reader:
    """What a schema can't say: names that must exist, hashes of the right form, versions of this series."""

    def __init__(self, tree: SourceTree, source: Source, schema: SeriesFile, name: str) -> None:
        self._tree = tree
        self._source = source
        self._schema = schema
        self._name = name
        self.problems: list[ConfigError] = []

    def series(self) -> tuple[Series | None, list[ConfigError]]:
        schema = self._schema
        if schema.series != self._name:
            self._problem(f"the file of series {schema.series} must be called {schema.series}.yml", "series")
        if schema.version not in schema.releases:
            self._problem(f"{schema.version} is not among the releases", "version", hint="pin it under `releases`")
        series = Series(
            name=schema.series,
            version=schema.version,
            end_of_life=self._date(schema.end_of_life),
            releases={version: self._release(version, release) for version, release in schema.releases.items()},
            compiler=schema.compiler,
            tool=schema.tool,
            platforms=self._platforms(),
            variants={variant: self._fragments(variant, names) for variant, names in schema.configuration.items()},
            module_hash=schema.modules.hash,
            enforce=schema.modules.enforce,
            signature=self._signature(),
            objects=self._objects(),
            location=Location(self._source.file),
        )
        return (None if self.problems else series), self.problems

    def _problem(self, message: str, *where: str | int, hint: str | None = None) -> None:
        self.problems.append(ConfigError(message, location=locate(self._source, where), hint=hint))

    def _date(self, text: str) -> date:
        try:
            return date.fromisoformat(text)
        except ValueError:
            self._problem(f"{text!r} is not a date", "end-of-life")
            return date.max

    def _release(self, version: str, schema: ReleaseFile) -> Release:
        at = ("releases", version)
        if not re.fullmatch(re.escape(self._schema.series) + r"(\.\d+)?", version):
            self._problem(f"{version} is not a release of {self._schema.series}", *at)
        if bool(schema.url) == bool(schema.git):
            self._problem("a release has either a url or a git repository", *at)
        if schema.url and not schema.sha256:
            self._problem("a url needs the sha256 of its file", *at)
        if schema.git and not schema.commit:
            self._problem("a git repository needs a commit", *at)
        mirrors = (*schema.mirrors, *(mirror.replace("{version}", version) for mirror in self._schema.mirrors))
        for url in filter(None, (schema.url, schema.git, *mirrors)):
            if not _URL.match(url):
                self._problem(f"{url!r} is not a URL", *at)
        for position, patch in enumerate(schema.patches):
            if not self._tree.is_file(f"{DIRECTORY}/patches/{patch}"):
                self._problem(f"{DIRECTORY}/patches/{patch} does not exist", *at, "patches", position)
        debian = schema.debian
        return Release(
            version=version,
            url=schema.url,
            sha256=Digest("sha256", schema.sha256) if schema.sha256 else None,
            git=schema.git,
            commit=schema.commit,
            mirrors=mirrors if schema.url else (),
            patches=tuple(schema.patches),
            debian=DebianSource(debian.suite, debian.package, debian.version) if debian else None,
        )

    def _platforms(self) -> tuple[Platform, ...]:
        platforms = []
        for position, text in enumerate(self._schema.platforms):
            try:
                platforms.append(Platform.parse(text))
            except ValueError as problem:
                self._problem(str(problem), "platforms", position)
        return tuple(platforms)

    def _fragments(self, variant: str, names: Sequence[str]) -> tuple[str, ...]:
        for position, name in enumerate(names):
            if not self._tree.is_file(f"{DIRECTORY}/config/{name}.config"):
                self._problem(f"{DIRECTORY}/config/{name}.config does not exist", "configuration", variant, position)
        return tuple(names)

    def _objects(self) -> Mapping[str, int]:
        objects = self._schema.objects or {}
        for variant in objects:
            if variant not in self._schema.configuration:
                self._problem(f"there is no variant {variant!r}", "objects", variant)
        return objects

    def _signature(self) -> UpstreamSignature | None:
        schema = self._schema.signature
        if schema is None:
            return None
        for position, signer in enumerate(schema.signers):
            if not _FINGERPRINT.match(signer):
                self._problem(
                    f"{signer!r} is not the fingerprint of a key",
                    "signature",
                    "signers",
                    position,
                    hint="40 upper-case hex digits without spaces, as `gpg --fingerprint` shows them",
                )
        return UpstreamSignature(schema.url, schema.of == "tar", tuple(schema.signers))
