"""A tree of files → a `Workspace`: find the packages, read them, and tie together the names they use.

All problems of a tree are found in one run and raised together, each with its place.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from pkgtool.config.package import Draft, Overrides, PackageReader, Reference
from pkgtool.config.settings import read_settings
from pkgtool.config.yaml_reader import locate
from pkgtool.errors import ConfigError, Location, PkgtoolError, Problems, raise_all
from pkgtool.graph import find_cycles
from pkgtool.model import BuildArg, Dependency, Package, Role, TreeSettings, Workspace
from pkgtool.source.trees import SourceTree

Maker = Callable[[str, TreeSettings], Sequence[Package]]
"""Makes the package of a name that no build.yml describes (a kernel), and those it comes with; none if it is no such
name. Raises `PkgtoolError`."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Where a tree lies and what the command line adds to it."""

    root: str
    prefix: str = ""
    """The root's path inside its git repository, empty or ending in a slash."""
    overrides: Overrides = field(default_factory=Overrides)
    also: tuple[str, ...] = ()
    """Package directories outside the globs of pkgtool.yml that were named on the command line."""
    wanted: tuple[str, ...] = ()
    """Names that were asked for; those that no build.yml describes are left to `make`."""
    make: Maker | None = None


def load(tree: SourceTree, options: LoadOptions) -> Workspace:
    """Read the whole tree. Raises `ConfigError`, or `Problems` with all that was found."""
    settings, problems = read_settings(tree)
    reader = PackageReader(tree, settings, options.overrides, options.prefix)
    found: list[PkgtoolError] = [*problems]
    build_file = options.overrides.build_file
    made = _Made(options.make, settings, found)
    drafts = _Drafts(tree, reader, build_file, made)
    for pattern in settings.packages:
        for directory in tree.directories(pattern):
            if tree.is_file(posixpath.join(directory, build_file)):
                drafts.add(directory)
    for directory in options.also:
        drafts.add(directory)
    packages = drafts.resolve(options.wanted)
    found += reader.problems
    found += _duplicates(drafts.by_path.values())
    found += _cycles(packages, drafts)
    raise_all(sorted(found, key=_place))
    return Workspace(options.root, settings, packages)


def _place(problem: PkgtoolError) -> tuple[str, int, int]:
    where = problem.location
    return (where.file, where.line, where.column) if where else ("", 0, 0)


class _Made:
    """The packages that no build.yml describes, made when something asks for them."""

    def __init__(self, make: Maker | None, settings: TreeSettings, problems: list[PkgtoolError]) -> None:
        self._make = make
        self._settings = settings
        self._problems = problems
        self._refused: set[str] = set()
        self.packages: dict[str, Package] = {}

    def get(self, name: str) -> Package | None:
        if self._make and name not in self.packages and name not in self._refused:
            try:
                self.packages.update((p.name, p) for p in self._make(name, self._settings))
            except Problems as several:
                self._problems += several.problems
                self._refused.add(name)
            except PkgtoolError as problem:
                self._problems.append(problem)
                self._refused.add(name)
        return self.packages.get(name)

    def refused(self, name: str) -> bool:
        """Whether it could not be made, for a reason that is among the problems already."""
        return name in self._refused

    def check(self, known: Iterable[str]) -> None:
        """Note what these packages need and the tree does not have."""
        there = {*known, *self.packages}
        for package in self.packages.values():
            for missing in (d.name for d in package.dependencies if d.name not in there):
                problem = f"{package.name} is built with the package {missing!r}, which this tree does not have"
                self._problems.append(ConfigError(problem, location=Location(package.build_file)))


class _Drafts:
    """The packages read so far; reading follows references out of the globs."""

    def __init__(self, tree: SourceTree, reader: PackageReader, build_file: str, made: _Made) -> None:
        self._made = made
        self._tree = tree
        self._reader = reader
        self._build_file = build_file
        self.by_path: dict[str, Draft | None] = {}

    def add(self, directory: str) -> Draft | None:
        if directory not in self.by_path:
            self.by_path[directory] = None  # a package that refers to itself ends here
            self.by_path[directory] = self._reader.read(directory)
        return self.by_path[directory]

    def resolve(self, wanted: Iterable[str]) -> dict[str, Package]:
        """Packages by name, their references resolved. References may bring in further directories."""
        pending = [draft for draft in self.by_path.values() if draft]
        named = {draft.package.name: draft for draft in pending}
        resolved: dict[str, Package] = {}
        while pending:
            draft = pending.pop()
            package = draft.package
            if draft.references:
                known = len(self.by_path)
                package = _with_dependencies(package, [(r, self._targets(draft, r, named)) for r in draft.references])
                if len(self.by_path) > known:
                    new = [found for found in list(self.by_path.values())[known:] if found]
                    named.update((n.package.name, n) for n in new)
                    pending += new
            resolved[package.name] = package
        for name in wanted:
            if name not in resolved:
                self._made.get(name)
        self._made.check(resolved)
        return dict(sorted({**self._made.packages, **resolved}.items()))

    def _targets(self, draft: Draft, reference: Reference, named: dict[str, Draft]) -> list[Package]:
        base = draft.package.path
        if reference.role is Role.REFERENCE:
            directories = self._directories(base, reference)
        elif reference.text in named:
            return [named[reference.text].package]
        elif made := self._made.get(reference.text):
            return [made]
        elif self._made.refused(reference.text):
            return []
        else:
            candidates = (posixpath.normpath(reference.text), posixpath.normpath(posixpath.join(base, reference.text)))
            directories = [c for c in candidates if "/" in reference.text and self._is_package(c)][:1]
        drafts = [self.add(directory) for directory in directories]
        if not drafts:
            self._missing(draft, reference, named)
        return [found.package for found in drafts if found]

    def _directories(self, base: str, reference: Reference) -> list[str]:
        path = posixpath.normpath(posixpath.join(base, reference.text))
        if reference.many:
            return [d for d in self._tree.directories(path) if self._is_package(d)]
        return [path] if self._is_package(path) else []

    def _is_package(self, directory: str) -> bool:
        return (
            not directory.startswith(("../", "/"))
            and directory != ".."
            and self._tree.is_file(posixpath.join(directory, self._build_file))
        )

    def _missing(self, draft: Draft, reference: Reference, named: Iterable[str]) -> None:
        unnamed = (path for path, found in self.by_path.items() if not (found and found.package.name))
        if any(posixpath.basename(path) == reference.text for path in unnamed):
            return  # it may well be the name of a package whose build.yml can't be read
        close = get_close_matches(posixpath.basename(reference.text), list(named), n=1)
        self._reader.problems.append(
            ConfigError(
                f"there is no package {reference.text!r}",
                location=locate(draft.source, reference.written_at),
                hint=f"did you mean {close[0]!r}?" if close else "name a package of this tree, or the path of one",
            )
        )


def _with_dependencies(package: Package, targets: Sequence[tuple[Reference, list[Package]]]) -> Package:
    edges: dict[tuple[str, Role], Dependency] = {}
    arguments = list(package.build_args)
    for reference, packages in targets:
        for target in packages:
            key = (target.name, reference.role)
            edges.setdefault(key, Dependency(target.name, reference.role, reference.written_at))
        if reference.argument and packages:
            # In the place of its line: of two arguments of one name the later one wins.
            line = int(reference.written_at[-1])
            arguments[line] = BuildArg(reference.argument, refers_to=tuple(p.name for p in packages))
    return replace(package, dependencies=tuple(edges.values()), build_args=tuple(arguments))


def _duplicates(drafts: Iterable[Draft | None]) -> Iterable[ConfigError]:
    first: dict[str, Draft] = {}
    for draft in (draft for draft in drafts if draft and draft.package.name):
        other = first.setdefault(draft.package.name, draft)
        if other is not draft:
            yield ConfigError(
                f"the image {draft.package.name!r} is also made by {other.package.path or '.'}",
                location=locate(draft.source, ("image",)),
                hint="give one of them another name",
            )


def _cycles(packages: dict[str, Package], drafts: _Drafts) -> Iterable[ConfigError]:
    for cycle in find_cycles(packages):
        package = packages[cycle[0]]
        edge = next(d for d in package.dependencies if d.name == cycle[1])
        draft = drafts.by_path.get(package.path)
        yield ConfigError(
            f"packages depend on each other in a circle: {' → '.join(cycle)}",
            location=locate(draft.source, edge.written_at) if draft else Location(package.build_file),
            hint="remove one of these dependencies, or move what they share into a package of its own",
        )
