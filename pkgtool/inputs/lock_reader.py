"""From the text of a lock file to a `Lock`; every problem in the file is reported, with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pkgtool.errors import InputError, Location
from pkgtool.inputs import names
from pkgtool.inputs.lock import (
    ALL,
    FORMAT,
    Archive,
    Content,
    Deb,
    DebianLock,
    DebianRequest,
    GoLock,
    GoModule,
    Lock,
    LockedFile,
    LockedGit,
)
from pkgtool.inputs.yaml_document import Document, Value, root
from pkgtool.model import FileInput, GitInput
from pkgtool.values import Digest

T = TypeVar("T")
_DATE_LINE = re.compile(rb"^date: (\S+)$", re.MULTILINE)


def read_lock(path: Path, *, shown_as: str = "") -> Lock | None:
    """The lock at `path`, or None where there is no such file. Raises `ConfigError` or `Problems` if it is wrong."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(
            f"the lock can't be read: {error.strerror}", location=Location(shown_as or str(path))
        ) from error
    return parse_lock(content, shown_as or str(path))


def parse_lock(content: bytes, file: str) -> Lock:
    """A lock from its text; `file` is the name that errors show."""
    document = Document(file)
    top = root(content, document)
    lock = _lock(top) if top else Lock()
    document.finish()
    return lock


def lock_date(content: bytes) -> datetime | None:
    """The date alone, found without reading the rest; None if there is none (`parse_lock` tells why)."""
    found = _DATE_LINE.search(content, 0, 4096)
    try:
        return names.date(found[1].decode("ascii")) if found else None
    except ValueError:
        return None


def _lock(top: Value) -> Lock:
    written_as = top.peek("format")
    if written_as is not None and written_as.text() != str(FORMAT):
        written_as.problem(f"this pkgtool reads format {FORMAT}", "use the pkgtool that wrote it")
        return Lock()
    fields = top.fields(["format"], ["date", "debian", "files", "git", "go"])
    return Lock(
        date=_date(fields),
        debian=_debian(fields["debian"]) if "debian" in fields else None,
        files=_unique(fields.get("files"), _file, lambda file: file.request.name),
        git=_unique(fields.get("git"), _git, lambda git: git.request.name),
        go=_go(fields["go"]) if "go" in fields else None,
    )


def _date(fields: Mapping[str, Value]) -> datetime | None:
    return fields["date"].parsed(names.date, names.NO_DATE) if "date" in fields else None


def _content(fields: Mapping[str, Value], digest: str = "sha256", size: str = "size") -> Content:
    if digest not in fields or size not in fields:
        return names.NO_CONTENT
    return Content(fields[digest].parsed(names.sha256, names.NO_DIGEST), fields[size].parsed(names.size, 0))


def _text(fields: Mapping[str, Value], name: str, parse: names.Check) -> str:
    return fields[name].parsed(parse, "") if name in fields else ""


def _texts(fields: Mapping[str, Value], name: str, parse: names.Check) -> tuple[str, ...]:
    return fields[name].texts(parse) if name in fields else ()


# -- Debian ---------------------------------------------------------------------------------------------


def _debian(value: Value) -> DebianLock:
    fields = value.fields(["architectures", "archives", "components", "names", "debs"], ["variant", "parents"])
    architectures = _texts(fields, "architectures", names.architecture)
    archives = _unique(fields.get("archives"), _archive, lambda archive: archive.name)
    known = {archive.name for archive in archives}
    debs = _unique(
        fields.get("debs"),
        lambda item: _deb(item, architectures, known),
        lambda deb: f"{deb.name} for {', '.join(deb.architectures)}",
    )
    request = DebianRequest(
        suites=tuple((archive.name, archive.suite) for archive in archives if "@" not in archive.name),
        components=_texts(fields, "components", names.component),
        packages=_texts(fields, "names", names.package),
        variant=_text(fields, "variant", names.variant),
        architectures=architectures,
        parents=_digests(fields, "parents", names.package),
    )
    return DebianLock(request, archives, debs)


def _digests(fields: Mapping[str, Value], name: str, parse: names.Check) -> tuple[tuple[str, Digest], ...]:
    found = []
    for key, value in fields[name].mapping() if name in fields else ():
        try:
            parse(key)
        except ValueError as error:
            value.problem(str(error))
        found.append((key, value.parsed(names.sha256, names.NO_DIGEST)))
    return tuple(found)


def _archive(value: Value) -> Archive:
    fields = value.fields(["name", "suite", "date", "inrelease"])
    return Archive(
        _text(fields, "name", names.archive),
        _text(fields, "suite", names.suite),
        _date(fields) or names.NO_DATE,
        fields["inrelease"].parsed(names.sha256, names.NO_DIGEST) if "inrelease" in fields else names.NO_DIGEST,
    )


def _deb(value: Value, architectures: tuple[str, ...], archives: set[str]) -> Deb:
    fields = value.fields(["name", "version", "arch", "size", "sha256", "path"], ["archive", "for"])
    arch = _text(fields, "arch", names.architecture)
    if arch and arch != ALL and arch not in architectures:
        fields["arch"].problem(f"{arch} is not among the lock's architectures")
    wanted = _texts(fields, "for", names.architecture) or (architectures if arch == ALL else (arch,))
    archive = _text(fields, "archive", names.archive) or "debian"
    if archive not in archives:
        value.problem(f"{archive} is not among the lock's archives")
    return Deb(
        name=_text(fields, "name", names.package),
        arch=arch,
        version=_text(fields, "version", names.version),
        architectures=wanted,
        archive=archive,
        path=_text(fields, "path", names.pool_path),
        content=_content(fields),
    )


# -- files, git, Go -------------------------------------------------------------------------------------


def _file(value: Value) -> LockedFile:
    fields = value.fields(["name", "url", "size", "sha256"], ["mirrors", "signature", "keyring", "date", "given"])
    request = FileInput(
        name=_text(fields, "name", names.file_name),
        url=_text(fields, "url", names.url),
        mirrors=_texts(fields, "mirrors", names.url),
        sha256=_text(fields, "given", lambda text: names.sha256(text).hex),
        signature=_text(fields, "signature", names.url),
        keyring=_text(fields, "keyring", names.relative_path),
    )
    return LockedFile(request, _content(fields), _date(fields))


def _git(value: Value) -> LockedGit:
    fields = value.fields(["name", "url", "ref", "commit", "size", "sha256"], ["date"])
    request = GitInput(
        name=_text(fields, "name", names.file_name),
        url=_text(fields, "url", names.git_url),
        ref=_text(fields, "ref", names.git_ref),
    )
    return LockedGit(request, _text(fields, "commit", names.commit), _content(fields), _date(fields))


def _go(value: Value) -> GoLock:
    fields = value.fields(["sums", "modules"])
    modules = _unique(fields.get("modules"), _module, str)
    return GoLock(_digests(fields, "sums", names.relative_path), modules)


def _module(value: Value) -> GoModule:
    fields = value.fields(["module", "version", "mod_size", "mod_sha256"], ["zip_size", "zip_sha256"])
    if ("zip_size" in fields) != ("zip_sha256" in fields):
        value.problem("zip_size and zip_sha256 belong together")
    return GoModule(
        module=_text(fields, "module", names.module),
        version=_text(fields, "version", names.module_version),
        mod=_content(fields, "mod_sha256", "mod_size"),
        zip=_content(fields, "zip_sha256", "zip_size") if "zip_size" in fields else None,
    )


def _unique(value: Value | None, read: Callable[[Value], T], key: Callable[[T], object]) -> tuple[T, ...]:
    """The entries of a list; a second one with the same key is a problem."""
    found: dict[object, T] = {}
    for item in value.items() if value else ():
        entry = read(item)
        if key(entry) in found:
            item.problem(f"{key(entry)} is there twice")
        found[key(entry)] = entry
    return tuple(found.values())
