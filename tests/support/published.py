"""A small tree, built for two platforms and published as a user does it: with the command line, on a real registry."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pkgtool.signing.keys import generate
from tests.support.command_line import CommandLine, Ended
from tests.support.tree import TreeBuilder

PASSPHRASE = "a passphrase of the tests"
PACKAGES = ("app", "base")
DPKG_STATUS = """\
Package: libsmall
Status: install ok installed
Maintainer: Nobody <nobody@example.org>
Architecture: {arch}
Version: 1.2-3
Description: a library

Package: small
Status: install ok installed
Maintainer: Nobody <nobody@example.org>
Architecture: all
Depends: libsmall (>= 1)
Version: 2.0
Description: a program
"""
POLICY = """\
signers:
  ours: {key: keys/ours.pub}
images:
  - match: ["*/linuxkit/*"]
    platforms: [linux/amd64, linux/arm64]
    signatures: {by: [ours]}
    attestations:
      - type: slsaprovenance1
        by: [ours]
        builder: [https://pkgtool.dev/builder/local/v1]
        source: https://example.org/tree
        clean: true
        hermetic: true
        dependencies: verified
      - {type: spdxjson, by: [ours]}
      - {type: cyclonedx, by: [ours]}
release: {by: [ours]}
"""
_BUILD = "arches: [amd64, arm64]\n"


@dataclass(frozen=True, slots=True)
class Workshop:
    """A tree in git, its store with everything built, and two key pairs: `ours` and `other`."""

    tree: TreeBuilder
    store: Path

    @property
    def pkgtool(self) -> CommandLine:
        return CommandLine(self.tree.root, self.store)

    def public(self, name: str = "ours") -> Path:
        return self.tree.root / "keys" / f"{name}.pub"

    def by(self, name: str = "ours") -> tuple[str, ...]:
        """Options: sign with this key."""
        directory = self.store.parent / "private"
        return ("--key", str(directory / f"{name}.key"), "--key-password-file", str(directory / "passphrase"))

    def copy(self, place: Path) -> Workshop:
        """The same tree somewhere else, to be changed there; the store is shared."""
        shutil.copytree(self.tree.root, place, symlinks=True)
        return Workshop(TreeBuilder(place), self.store)


def make(place: Path) -> Workshop:
    """Write the tree, commit it and build it. Needs no network."""
    tree = TreeBuilder(place / "tree").init()
    private = place / "private"
    private.mkdir()
    (private / "passphrase").write_text(f"{PASSPHRASE}\n")
    for name in ("ours", "other"):
        pair = generate.generate(PASSPHRASE.encode())
        generate.write(pair, private / f"{name}.key", place / "tree" / "keys" / f"{name}.pub")
    tree.write("pkgtool.yml", "source: https://example.org/tree\nplatforms: [linux/amd64, linux/arm64]\n")
    tree.write("policy.yml", POLICY)
    files = {f"status-{arch}": DPKG_STATUS.format(arch=arch) for arch in ("amd64", "arm64")}
    recipe = "FROM scratch\nARG TARGETARCH\nCOPY status-${TARGETARCH} /var/lib/dpkg/status\n"
    tree.package("base", _BUILD, dockerfile=recipe, files=files)
    recipe = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY content /app\n"
    tree.package("app", f"{_BUILD}depends: {{packages: [base]}}\n", dockerfile=recipe)
    tree.commit()
    shop = Workshop(tree, place / "store")
    shop.pkgtool("build", "--engine", "buildah", "--platform", "linux/amd64,linux/arm64").ok()
    return shop


@dataclass(frozen=True, slots=True)
class Published:
    """What lies in a registry, as programs that know nothing of pkgtool see it."""

    shop: Workshop
    registry: str
    """Host and prefix."""
    crane: str

    def push(self, *options: str) -> Ended:
        return self.shop.pkgtool("push", "--registry", self.registry, *options).ok()

    def reference(self, package: str) -> str:
        """By tag."""
        return f"{self.registry}/{self.shop.pkgtool('show-tag', package).ok().out.strip()}"

    def repository(self, package: str) -> str:
        return self.reference(package).rpartition(":")[0]

    def digests(self, package: str) -> list[str]:
        """The index's digest, then those of the platforms' manifests."""
        reference = self.reference(package)
        listed = json.loads(self._crane("manifest", reference))["manifests"]
        return [self._crane("digest", reference), *(entry["digest"] for entry in listed)]

    def references(self, *packages: str) -> Iterator[str]:
        """Every digest of packages, as references."""
        for package in packages or PACKAGES:
            yield from (f"{self.repository(package)}@{digest}" for digest in self.digests(package))

    def everything(self) -> dict[str, object]:
        """All tags with their digests, and all lists of referrers: two of these are equal if nothing was added."""
        found: dict[str, object] = {}
        for package in PACKAGES:
            repository = self.repository(package)
            for tag in self._crane("ls", repository).splitlines():
                found[f"{repository}:{tag}"] = self._crane("digest", f"{repository}:{tag}")
            for digest in self.digests(package):
                found[f"referrers of {digest}"] = self._referrers(repository, digest)
        return found

    def _referrers(self, repository: str, digest: str) -> list[str]:
        """The registry's own list; where it has none, the list is a tag."""
        host, _, path = repository.partition("/")
        connection = http.client.HTTPConnection(host)
        with contextlib.closing(connection):
            connection.request("GET", f"/v2/{path}/referrers/{digest}")
            answer = connection.getresponse()
            content = answer.read().decode()
        assert answer.status in (200, 404)
        listed = json.loads(content)["manifests"] if answer.status == 200 else []
        return sorted(entry["digest"] for entry in listed)

    def _crane(self, *arguments: str) -> str:
        done = subprocess.run([self.crane, *arguments, "--insecure"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
