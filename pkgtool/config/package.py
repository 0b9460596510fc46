"""One build.yml → one `Package`, still with the names of other packages as they are written."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from pkgtool import model, tag_template
from pkgtool.config import runtime, typed
from pkgtool.config.inputs import read_inputs
from pkgtool.config.schema import LINUXKIT_SOURCE, BuildFile
from pkgtool.config.yaml_reader import Source, locate
from pkgtool.errors import ConfigError
from pkgtool.model import BuildArg, ContextPath, DockerImages, Package, Role, Rootfs, TreeSettings
from pkgtool.source.trees import SourceTree
from pkgtool.values import ImageRef, Platform, check_organisation, is_repository

_ARCHITECTURES = frozenset(
    "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm".split()
)
_DEFAULT_ARCHES = ("amd64", "arm64", "riscv64")
DEFAULT_BUILD_FILE = "build.yml"
_ARGUMENT_NAME = re.compile(r"[A-Za-z_%][A-Za-z0-9_%]*\Z")

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line decides for every package, instead of its build.yml."""

    org: str | None = None
    tag: str | None = None
    network: bool | None = None
    cache: bool | None = None
    dockerfile: str | None = None
    build_args: tuple[BuildArg, ...] = ()
    build_file: str = DEFAULT_BUILD_FILE


@dataclass(frozen=True, slots=True)
class Reference:
    """A package named in a build.yml: by name, by path, or by glob (`many`), and where."""

    text: str
    role: Role
    written_at: KeyPath
    many: bool = False
    argument: str = ""


@dataclass(slots=True)
class Draft:
    """A package whose references to others are not resolved yet."""

    package: Package
    source: Source
    references: list[Reference] = field(default_factory=list)


_check_org = cache(check_organisation)


@cache
def _platform(arch: str) -> Platform | None:
    try:
        platform = Platform.parse(arch)
    except ValueError:
        return None
    return platform if platform.arch in _ARCHITECTURES else None


def _climbs(path: str) -> bool:
    """Whether a normalised relative path leads out of where it starts."""
    return path == ".." or path.startswith("../")


class PackageReader:
    """Reads one build.yml; problems are collected, none is raised."""

    def __init__(self, tree: SourceTree, settings: TreeSettings, overrides: Overrides, prefix: str) -> None:
        """`prefix` is the root's path inside its repository, empty or ending in a slash."""
        self._tree = tree
        self._settings = settings
        self._overrides = overrides
        self._prefix = prefix
        self.problems: list[ConfigError] = []
        self._source = Source("", b"")
        self._path = ""
        self._unread: frozenset[str] = frozenset()
        """Keys of the file that were no good: nothing further is said about them."""

    def read(self, path: str) -> Draft | None:
        """The draft of the package in directory `path`, or None if it has problems that leave nothing to work with."""
        file = posixpath.join(path, self._overrides.build_file)
        content = self._tree.read(file)
        if content is None:
            self.problems.append(ConfigError(f"{path or '.'} has no {self._overrides.build_file}"))
            return None
        self._source, self._path = Source(file, content), path
        self._no_links((path, file))
        found, problems, self._unread = typed.read_partly(self._source, BuildFile)
        self.problems += problems
        return self._draft(found) if found else None

    def _no_links(self, paths: Sequence[str]) -> None:
        """A link's hash is that of its target's name, so what it leads to would not count in the tag."""
        for path in paths:
            if self._tree.is_link(path):
                self._problem(
                    f"{path} is a symbolic link, so its content has no part in the tag", (), "copy what it names"
                )

    # -- pieces -----------------------------------------------------------------------------------------

    def _draft(self, file: BuildFile) -> Draft:
        references: list[Reference] = []
        outside: list[tuple[str, str]] = []
        if self._overrides.build_file != DEFAULT_BUILD_FILE:
            outside.append(("build-yml", self._overrides.build_file))
        inputs, problems = read_inputs(file.inputs, self._source, self._tree, self._path)
        self.problems += problems
        package = Package(
            name=self._name(file.image),
            org=self._org(file),
            path=self._path,
            tag_template=self._tag(file.tag),
            platforms=self._platforms(file.arches),
            context=(ContextPath(self._path, ""), *self._extra_sources(file.extra_sources)),
            source_url=self._source_url(file, outside),
            source_date_epoch=self._epoch(outside),
            dockerfile=self._dockerfile(file, outside),
            network=self._switch("network", file.network, self._overrides.network, outside),
            cache=not file.disable_cache if self._overrides.cache is None else self._overrides.cache,
            build_args=self._build_args(file.build_args, references),
            outside_args=self._overrides.build_args,
            runtime_config=runtime.label_value(file.config) if file.config is not None else "",
            inputs=inputs,
            rootfs=self._rootfs(file),
            docker_images=self._docker_images(file),
            outside_settings=tuple(outside),
            build_file=self._source.file,
        )
        for role, names in (("packages", file.depends.packages), ("tools", file.depends.tools)):
            kind = Role.PACKAGE if role == "packages" else Role.TOOL
            references += [Reference(n, kind, ("depends", role, i)) for i, n in enumerate(names)]
        return Draft(package, self._source, references)

    def _problem(self, message: str, path: Sequence[str | int], hint: str | None = None) -> None:
        if not path or path[0] not in self._unread:
            self.problems.append(ConfigError(message, location=locate(self._source, path), hint=hint))

    def _name(self, image: str | None) -> str:
        if image is None:
            return ""  # it is among the problems already
        if not is_repository(image):
            hint = "lower-case letters, digits, and single . _ - or / between them"
            self._problem(f"{image!r} can't be an image name", ("image",), hint)
        return image

    def _org(self, file: BuildFile) -> str:
        if self._overrides.org is not None:
            return self._overrides.org
        if file.org:
            try:
                _check_org(file.org)
            except ValueError as problem:
                self._problem(f"{file.org!r} can't be an organisation: {problem}", ("org",))
        return file.org or self._settings.org or model.DEFAULT_ORG

    def _tag(self, template: str) -> str:
        if template and not tag_template.gives_a_tag(template):
            self._problem(f"the tag template {template!r} gives no valid tag", ("tag",), tag_template.HINT)
        return self._overrides.tag or template or tag_template.DEFAULT

    def _platforms(self, arches: Sequence[str] | None) -> tuple[Platform, ...]:
        platforms = []
        for position, arch in enumerate(_DEFAULT_ARCHES if arches is None else arches):
            platform = _platform(arch)
            if platform is None:
                known = ", ".join(sorted(_ARCHITECTURES))
                self._problem(f"{arch!r} is not an architecture", ("arches", position), f"Go's names: {known}")
            elif platform in platforms:
                self._problem(f"{arch!r} is listed twice", ("arches", position))
            else:
                platforms.append(platform)
        return tuple(platforms)

    def _extra_sources(self, entries: Sequence[str]) -> list[ContextPath]:
        result = []
        for position, entry in enumerate(entries):
            where = ("extra-sources", position)
            source, colon, destination = entry.partition(":")
            if not colon or ":" in destination or not source or not destination:
                self._problem(f"{entry!r} is not of the form SOURCE:DESTINATION", where, "exactly one colon")
                continue
            path = posixpath.normpath(posixpath.join(self._path, source))
            target = posixpath.normpath(f"/{destination}").strip("/")
            if source.startswith("/") or _climbs(posixpath.normpath(posixpath.join(self._prefix, path))):
                self._problem(f"the extra source {source!r} leaves the repository", where)
            elif ".." in destination.split("/"):
                self._problem(f"the destination {destination!r} leaves the build context", where)
            elif not (self._tree.is_directory(path) or self._tree.is_file(path)):
                self._problem(f"the extra source {path} does not exist", where)
            else:
                result.append(ContextPath("" if path == "." else path, target))
        return result

    def _source_url(self, file: BuildFile, outside: list[tuple[str, str]]) -> str:
        if not file.gitrepo and self._settings.source_url:
            outside.append(("source", self._settings.source_url))
        return file.gitrepo or self._settings.source_url or LINUXKIT_SOURCE

    def _epoch(self, outside: list[tuple[str, str]]) -> int:
        if self._settings.source_date_epoch is None:
            return model.DEFAULT_SOURCE_DATE_EPOCH
        outside.append(("source-date-epoch", str(self._settings.source_date_epoch)))
        return self._settings.source_date_epoch

    def _switch(self, name: str, own: bool, override: bool | None, outside: list[tuple[str, str]]) -> bool:
        if override is None or override == own:
            return own
        outside.append((name, str(override).lower()))
        return override

    def _dockerfile(self, file: BuildFile, outside: list[tuple[str, str]]) -> str:
        name = file.dockerfile or "Dockerfile"
        if self._overrides.dockerfile and self._overrides.dockerfile != name:
            name = self._overrides.dockerfile
            outside.append(("dockerfile", name))
        if file.rootfs:
            if file.dockerfile:
                self._problem("a package has either a dockerfile or a rootfs", ("dockerfile",), "remove one of them")
        elif "rootfs" in self._unread:
            pass  # then it may need no Dockerfile
        elif self._inside("dockerfile", name, ("dockerfile",)) and not self._own_file(name):
            self._problem(f"{posixpath.join(self._path, name)} does not exist", ("dockerfile",))
        return name

    def _inside(self, what: str, path: str, where: KeyPath) -> bool:
        """Whether a path stays inside the package; if not, that is a problem."""
        if path.startswith("/") or ".." in path.split("/") or not path:
            self._problem(f"{what} {path!r} leaves the package's directory", where, "name a file below it")
            return False
        return True

    def _own_file(self, path: str) -> bool:
        return self._tree.is_file(posixpath.join(self._path, path))

    def _build_args(self, lines: Sequence[str], references: list[Reference]) -> tuple[BuildArg, ...]:
        """One argument a line; those that refer to packages get their values when the references are resolved."""
        result = []
        for position, line in enumerate(lines):
            where = ("buildArgs", position)
            name, equals, value = line.partition("=")
            result.append(BuildArg(name, value))
            if not equals or not _ARGUMENT_NAME.match(name):
                self._problem(f"{line!r} is not of the form NAME=VALUE", where)
            elif value.startswith("@lkt:"):
                reference = self._linuxkit_reference(name, value.removeprefix("@lkt:"), where)
                if reference:
                    references.append(reference)
        return tuple(result)

    def _linuxkit_reference(self, name: str, value: str, where: KeyPath) -> Reference | None:
        kind, colon, path = value.partition(":")
        if not colon or kind not in ("pkg", "pkgs") or not path:
            self._problem(f"unknown value @lkt:{value}", where, "@lkt:pkg:PATH or @lkt:pkgs:GLOB")
            return None
        if kind == "pkgs" and "%" not in name:
            self._problem(f"the name {name!r} needs a % for the packages' names", where, f"for example {name}_%")
            return None
        return Reference(path, Role.REFERENCE, where, many=kind == "pkgs", argument=name)

    def _rootfs(self, file: BuildFile) -> Rootfs | None:
        if file.rootfs is None:
            return None
        setup = file.rootfs.setup
        if setup and self._inside("the script", setup, ("rootfs", "setup")) and not self._own_file(setup):
            self._problem(f"{posixpath.join(self._path, setup)} does not exist", ("rootfs", "setup"))
        if "inputs" not in self._unread and (file.inputs is None or file.inputs.debian is None):
            self._problem("a rootfs is made from Debian packages: inputs.debian is required", ("rootfs",))
        return Rootfs(
            variant=file.rootfs.variant,
            setup=setup,
            exclude=tuple(file.rootfs.exclude),
            env=tuple(file.rootfs.env),
            command=tuple(file.rootfs.command),
        )

    def _docker_images(self, file: BuildFile) -> DockerImages | None:
        given, at = file.depends.docker_images, ("depends", "docker-images")
        if given.target and given.target_dir:
            self._problem("target and target-dir exclude each other", (*at, "target-dir"))
        if given.from_file and given.list:
            self._problem("list and from-file exclude each other", (*at, "from-file"))
        for key, path in (("target", given.target), ("target-dir", given.target_dir), ("from-file", given.from_file)):
            if path:
                self._inside(key, path, (*at, key))
        images: list[tuple[str, KeyPath]] = [
            (image, (*at, "list", position)) for position, image in enumerate(given.list)
        ]
        if given.from_file:
            content = self._tree.read(posixpath.join(self._path, given.from_file))
            if content is None:
                self._problem(f"{given.from_file} does not exist", (*at, "from-file"))
            lines = (content or b"").decode("utf-8", "replace").splitlines()
            images = [(line, (*at, "from-file")) for line in lines if line and not line.startswith("#")]
        for image, where in images:
            self._pinned(image, where)
        if not images:
            return None
        if not (given.target or given.target_dir):
            self._problem("docker-images need a target or a target-dir", at)
        return DockerImages(tuple(image for image, _ in images), given.target, given.target_dir)

    def _pinned(self, image: str, where: KeyPath) -> None:
        try:
            reference = ImageRef.parse(image)
        except ValueError as problem:
            self._problem(f"{image!r} is not an image reference: {problem}", where)
            return
        if reference.digest is None:
            self._problem(f"{image!r} has no digest", where, "write it as NAME@sha256:…")
