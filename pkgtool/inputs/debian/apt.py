"""apt in a private directory: nothing of the machine's own apt configuration, sources, keys or state counts.

One `apt-get update` brings the lists for all architectures, so that they are of one state of the archive. apt
and gpgv verify InRelease against the keyring, and every list against InRelease.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote

from pkgtool import process
from pkgtool.cancel import Cancellation
from pkgtool.errors import InputError, ToolMissing
from pkgtool.inputs.debian.control import stanzas
from pkgtool.inputs.lock import Archive, Content
from pkgtool.inputs.names import sha256
from pkgtool.oci.files import hash_file

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_WHY = "resolve Debian packages"
_URI = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<hex>[0-9a-f]{64})\Z")
_TOLD = re.compile(r"(?:E|W|N|Error|Warning|Notice): ?(.*)")


@dataclass(frozen=True, slots=True)
class Source:
    """Where one archive's suite is taken from now; `archive` is its name in locks."""

    archive: str
    suite: str
    url: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A .deb that apt would download."""

    name: str
    version: str
    arch: str
    archive: str
    path: str
    content: Content


class Apt:
    """apt for several architectures in `directory`, which must be empty and lives as long as this object."""

    def __init__(
        self,
        directory: Path,
        sources: Sequence[Source],
        components: Sequence[str],
        architectures: Sequence[str],
        *,
        keyring: str = KEYRING,
        cancel: Cancellation | None = None,
    ) -> None:
        self._directory = directory
        self._sources = tuple(sources)
        self._architectures = tuple(architectures)
        self._cancel = cancel
        self._runs = itertools.count()
        if not Path(keyring).is_file():
            raise ToolMissing(
                f"the keyring {keyring} is missing: signatures of Debian's archive are checked against it",
                hint="sudo apt-get install debian-archive-keyring",
            )
        for name in ("etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "lists/partial", "cache/archives"):
            (directory / name).mkdir(parents=True)
        # Without arch=: that would make every architecture count in every run, whatever APT::Architectures says.
        lines = [f"deb [signed-by={keyring}] {s.url} {s.suite} {' '.join(components)}\n" for s in sources]
        (directory / "etc/sources.list").write_text("".join(lines))

    def update(self) -> tuple[Archive, ...]:
        """Fetch and verify the lists; gives the state of each archive. Raises `InputError` with apt's reasons."""
        status = self._write_status("")
        done = self._run(self._architectures, status, ["apt-get", "update", "-q"], accept=(0, 100))
        if done.returncode:
            problems = _told(done)
            where = ", ".join(f"{source.url} {source.suite}" for source in self._sources)
            raise InputError(
                f"the Debian archive can't be used: {where}", details=problems, hint=_update_hint(problems)
            )
        self._check_lists()
        return tuple(self._archive(source) for source in self._sources)

    def install(self, arch: str, status: str, wanted: Sequence[str]) -> tuple[Candidate, ...]:
        """What apt would download to install `wanted` (names or apt-patterns(7)) beside what `status` holds.

        `status` has dpkg's format. Nothing installed is removed. Raises `InputError` with apt's reasons.
        """
        if not wanted:
            return ()
        options = ["--yes", "--print-uris", "--fix-broken", "--no-remove", "--no-install-recommends"]
        command = ["apt-get", *options, "install", *wanted]
        done = self._run((arch,), self._write_status(status), command, accept=(0, 100))
        if done.returncode:
            raise InputError(f"apt can't install the packages for {arch}", details=[*_unmet(done), *_told(done)])
        return tuple(self._candidate(line) for line in done.text.splitlines() if line.startswith("'"))

    def stanzas(self, arch: str, versions: Iterable[tuple[str, str]]) -> dict[tuple[str, str], dict[str, str]]:
        """The archive's stanzas of those (name, version) that it has."""
        wanted = [f"{name}={version}" for name, version in versions]
        if not wanted:
            return {}
        command = ["apt-cache", "show", *wanted]
        done = self._run((arch,), self._write_status(""), command, accept=(0, 100))
        return {(fields["Package"], fields["Version"]): fields for fields in stanzas(done.text)}

    def known(self, arch: str, names: Iterable[str]) -> set[str]:
        """Those names that the archive has in any version."""
        wanted = list(names)
        if not wanted:
            return set()
        done = self._run((arch,), self._write_status(""), ["apt-cache", "show", *wanted], accept=(0, 100))
        return {fields["Package"] for fields in stanzas(done.text)}

    def locate(self, arch: str, name: str, version: str) -> Candidate:
        """Where the archive has a version now. Raises `InputError` if it has it no more."""
        command = ["apt-get", "-qq", "--print-uris", "download", f"{name}={version}"]
        done = self._run((arch,), self._write_status(""), command, accept=(0, 100))
        lines = [line for line in done.text.splitlines() if line.startswith("'")]
        if done.returncode or not lines:
            raise InputError(f"the archive has no {name} {version} for {arch}", details=_told(done))
        return self._candidate(lines[0])

    # -- inside -----------------------------------------------------------------------------------------

    def _run(
        self, architectures: Sequence[str], status: Path, command: list[str], *, accept: Sequence[int]
    ) -> process.Completed:
        configuration = status.with_suffix(".conf")
        configuration.write_text(self._configuration(architectures, status))
        environment = {"APT_CONFIG": str(configuration)}
        return process.run(command, why=_WHY, env=environment, accept=accept, cancel=self._cancel)

    def _write_status(self, status: str) -> Path:
        path = self._directory / f"status-{next(self._runs)}"
        path.write_text(status)
        return path

    def _configuration(self, architectures: Sequence[str], status: Path) -> str:
        root = self._directory
        settings = {
            "Dir": root,
            "Dir::State": root,
            "Dir::State::status": status,
            "Dir::Cache": root / "cache",
            # What the lists say is the same in every run; what is installed is not.
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": root / f"cache/{'-'.join(architectures)}.bin",
            "Dir::Etc": root / "etc",
            "Dir::Log": "/dev/null",
            "APT::Architecture": architectures[0],
            "APT::Install-Recommends": "false",
            # apt counts itself as essential unless told that nothing but the archive's own field makes it so.
            "pkgCacheGen::ForceEssential": ",",
            # The private directory is readable for its owner alone, so apt can't change to its own user.
            "APT::Sandbox::User": "",
            "APT::Update::Error-Mode": "any",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "Acquire::ForceHash": "sha256",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            **({"Acquire::https::CAInfo": os.environ["SSL_CERT_FILE"]} if os.environ.get("SSL_CERT_FILE") else {}),
        }
        lines = [f'{name} "{value}";\n' for name, value in settings.items()]
        return "".join(lines) + "APT::Architectures { " + " ".join(f'"{a}";' for a in architectures) + " };\n"

    def _check_lists(self) -> None:
        """apt only remarks that a suite does not have an architecture; a lock without its updates would be wrong."""
        there = [path.name for path in (self._directory / "lists").iterdir()]
        for source, arch in itertools.product(self._sources, self._architectures):
            mark = f"_dists_{source.suite.replace('/', '_')}_"
            if not any(mark in name and name.endswith(f"_binary-{arch}_Packages") for name in there):
                raise InputError(
                    f"{source.url} {source.suite} has no packages for {arch}",
                    hint=f"take {arch} out of the package's arches, or choose a suite that has it",
                )

    def _archive(self, source: Source) -> Archive:
        suffix = f"_dists_{source.suite.replace('/', '_')}_InRelease"
        found = [path for path in (self._directory / "lists").iterdir() if path.name.endswith(suffix)]
        if len(found) != 1:
            raise InputError(f"{source.url} has no signed InRelease for {source.suite}")
        text = found[0].read_text("utf-8", "replace")
        release = next(stanzas(text.partition("\n\n")[2]))  # after the line that opens the signed message
        try:
            date = parsedate_to_datetime(release["Date"]).astimezone(UTC)
        except (KeyError, ValueError) as error:
            raise InputError(f"InRelease of {source.url} {source.suite} has no usable date") from error
        return Archive(source.archive, source.suite, date, hash_file(found[0]))

    def _candidate(self, line: str) -> Candidate:
        found = _URI.match(line)
        if not found:
            raise InputError(f"apt names a package without a sha256: {line}")
        uri = unquote(found["uri"])
        source = next((s for s in self._sources if uri.startswith(s.url.rstrip("/") + "/")), None)
        if source is None:
            raise InputError(f"apt names a package of an unknown archive: {uri}")
        name, version, arch = found["file"].removesuffix(".deb").split("_")
        path = uri[len(source.url.rstrip("/")) + 1 :]
        content = Content(sha256(found["hex"]), int(found["size"]))
        return Candidate(name, unquote(version), arch, source.archive, path, content)


def _told(done: process.Completed) -> list[str]:
    """apt's errors and warnings, each once and without its letter."""
    lines = done.errors.decode("utf-8", "replace").splitlines()
    told = [found[1] for line in lines if (found := _TOLD.match(line))]
    return list(dict.fromkeys(told))


def _unmet(done: process.Completed) -> list[str]:
    """The dependencies that apt could not meet, one a line."""
    _, _, listed = done.text.partition("have unmet dependencies:\n")
    return [" ".join(line.split()) for line in listed.splitlines() if line.startswith(" ")]


def _update_hint(problems: Sequence[str]) -> str:
    text = " ".join(problems)
    if "NO_PUBKEY" in text or "BADSIG" in text or "signature" in text.lower() or "not signed" in text:
        return "the archive is not what it claims to be, or its keys are newer: install debian-archive-keyring anew"
    if "is not valid yet" in text or "expired" in text:
        return "check this machine's clock, or take a mirror that is up to date"
    return "check the address (debian_mirror, mirrors in pkgtool.yml, PKGTOOL_MIRRORS) and the network"
