"""Debian packages that an image holds files of, without dpkg's record saying so.

An image that is built FROM scratch out of a few files has no record. The packages its build had are known from the
lock; which of them are really in the image is told by the files: a file whose name and MD5 are those of a package's own
list (`DEBIAN/md5sums`, the only hashes a .deb has of its files) came from that package.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pkgtool.sbom.debian import DebianPackage
from pkgtool.sbom.files import ImageFile, chunks

_EMPTY = hashlib.md5(b"", usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class KnownPackage:
    """A .deb that took part in a build."""

    package: DebianPackage
    files: Mapping[str, str] = field(default_factory=dict)
    """Path without a leading slash → MD5 in hexadecimal, as in the .deb's `md5sums`."""
    sha256: str = ""
    """Of the .deb."""
    url: str = ""


class Matcher:
    """Sees every file of an image, and says in the end which known packages were found."""

    def __init__(self, known: Iterable[KnownPackage]) -> None:
        self._known = list(known)
        self._by_path: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._by_name: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._names: set[str] = set()
        for number, each in enumerate(self._known):
            for path, md5 in each.files.items():
                if md5 != _EMPTY:
                    name = path.rpartition("/")[2]
                    self._by_path[_merged(path), md5].add(number)
                    self._by_name[name, md5].add(number)
                    self._names.add(name)
        self._found: dict[int, list[str]] = defaultdict(list)

    def wants(self, file: ImageFile) -> bool:
        """Whether the file's name occurs in any package: others need not be read."""
        return file.size > 0 and file.path.rpartition("/")[2] in self._names

    def see(self, file: ImageFile) -> None:
        """Look at a file. A copy in another place counts only if it can be from one package alone."""
        digest = hashlib.md5(usedforsecurity=False)
        with file.open() as stream:
            for piece in chunks(stream):
                digest.update(piece)
        md5 = digest.hexdigest()
        owners = self._by_path.get((_merged(file.path), md5))
        if not owners:
            owners = self._by_name.get((file.path.rpartition("/")[2], md5), set())
            if len({self._known[number].package.name for number in owners}) != 1:
                return
        for number in owners:
            self._found[number].append(file.path)

    def found(self) -> list[tuple[KnownPackage, tuple[str, ...]]]:
        """The packages that files were found of, with the paths that show it.

        Of one package for several architectures or in several versions, which share files, the one that most files
        speak for; with as many, the one that was named first.
        """
        best: dict[str, int] = {}
        for number, paths in sorted(self._found.items()):
            name = self._known[number].package.name
            if name not in best or len(paths) > len(self._found[best[name]]):
                best[name] = number
        return [(self._known[number], tuple(sorted(self._found[number]))) for number in sorted(best.values())]


def _merged(path: str) -> str:
    """Debian's directories that have become links into /usr (usrmerge): old lists still name the old places."""
    head, slash, rest = path.partition("/")
    return f"usr/{head}{slash}{rest}" if head in ("bin", "sbin", "lib", "lib64", "lib32", "libx32") else path
