"""From a `Lock` to the text of its file: stable order, one line per package, so that a diff reads well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pkgtool.inputs import names
from pkgtool.inputs.lock import ALL, FORMAT, Content, Deb, DebianLock, GoLock, GoModule, Lock, LockedFile, LockedGit
from pkgtool.oci import files
from pkgtool.values import Digest

_HEAD = """\
# Written by 'pkgtool lock': every input of this package, by hash. Not to be edited by hand.
"""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+~@%-]*\Z")
_NUMBER = re.compile(r"[0-9]+(?:e[0-9]+)?\Z")
_SPECIAL = frozenset("true false yes no null on off y n".split())


def write_lock(path: Path, lock: Lock) -> None:
    """Replace the lock at `path` at once; the same lock gives the same bytes."""
    files.write_atomic(path, format_lock(lock).encode())


def format_lock(lock: Lock) -> str:
    """The text of a lock file."""
    return _HEAD + "".join(f"{line}\n" for line in _lines(lock))


def _lines(lock: Lock) -> Iterator[str]:
    yield f"format: {FORMAT}"
    if lock.date:
        yield f"date: {names.format_date(lock.date)}"
    if lock.debian:
        yield "debian:"
        yield from (f"  {line}" for line in _debian(lock.debian))
    if lock.files:
        yield "files:"
        yield from _blocks(_file(file) for file in sorted(lock.files, key=lambda file: file.request.name))
    if lock.git:
        yield "git:"
        yield from _blocks(_git(git) for git in sorted(lock.git, key=lambda git: git.request.name))
    if lock.go:
        yield "go:"
        yield from (f"  {line}" for line in _go(lock.go))


def _debian(debian: DebianLock) -> Iterator[str]:
    request = debian.request
    if request.variant:
        yield f"variant: {_scalar(request.variant)}"
    yield f"components: {_list(request.components)}"
    yield f"names: {_list(sorted(request.packages))}"
    yield f"architectures: {_list(request.architectures)}"
    if request.parents:
        yield f"parents: {_flow({name: _hex(digest) for name, digest in request.parents})}"
    yield "archives:"
    for archive in debian.archives:
        yield "  - " + _flow(
            {
                "name": archive.name,
                "suite": archive.suite,
                "date": names.format_date(archive.date),
                "inrelease": _hex(archive.inrelease),
            }
        )
    yield "debs:" if debian.debs else "debs: []"
    for deb in sorted(debian.debs):
        yield f"  - {_flow(_deb(deb, request.architectures))}"


def _deb(deb: Deb, architectures: tuple[str, ...]) -> dict[str, str]:
    usual = architectures if deb.arch == ALL else (deb.arch,)
    return {
        "name": deb.name,
        "version": deb.version,
        "arch": deb.arch,
        **({"for": _list(deb.architectures)} if deb.architectures != usual else {}),
        **({"archive": deb.archive} if deb.archive != "debian" else {}),
        **_content(deb.content),
        "path": deb.path,
    }


def _content(content: Content, prefix: str = "") -> dict[str, str]:
    return {f"{prefix}size": _Raw(str(content.size)), f"{prefix}sha256": _hex(content.digest)}


def _file(file: LockedFile) -> dict[str, str]:
    request = file.request
    return {
        "name": request.name,
        "url": request.url,
        **({"mirrors": _list(request.mirrors)} if request.mirrors else {}),
        **({"given": _digits(request.sha256)} if request.sha256 else {}),
        **({"signature": request.signature} if request.signature else {}),
        **({"keyring": request.keyring} if request.keyring else {}),
        **({"date": names.format_date(file.date)} if file.date else {}),
        **_content(file.content),
    }


def _git(git: LockedGit) -> dict[str, str]:
    return {
        "name": git.request.name,
        "url": git.request.url,
        "ref": git.request.ref,
        "commit": _digits(git.commit),
        **({"date": names.format_date(git.date)} if git.date else {}),
        **_content(git.content),
    }


def _go(go: GoLock) -> Iterator[str]:
    yield f"sums: {_flow({path: _hex(digest) for path, digest in sorted(go.sums)})}"
    yield "modules:" if go.modules else "modules: []"
    for module in sorted(go.modules, key=lambda module: (module.module, module.version)):
        yield f"  - {_flow(_module(module))}"


def _module(module: GoModule) -> dict[str, str]:
    return {
        "module": module.module,
        "version": module.version,
        **_content(module.mod, "mod_"),
        **(_content(module.zip, "zip_") if module.zip else {}),
    }


# -- YAML -----------------------------------------------------------------------------------------------


class _Raw(str):
    """Text that is YAML already."""

    __slots__ = ()


def _blocks(entries: Iterator[dict[str, str]]) -> Iterator[str]:
    for entry in entries:
        mark = "-"
        for name, value in entry.items():
            yield f"  {mark} {name}: {_scalar(value)}"
            mark = " "


def _flow(entry: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_scalar(name)}: {_scalar(value)}" for name, value in entry.items()) + "}"


def _hex(digest: Digest) -> str:
    """A digest's digits, without its algorithm."""
    return _digits(digest.hex)


def _digits(text: str) -> str:
    """Hexadecimal digits: plain, unless another reader might take them for a number."""
    return text if _NUMBER.match(text) else _Raw(text)


def _list(values: tuple[str, ...] | list[str]) -> _Raw:
    return _Raw("[" + ", ".join(_scalar(value) for value in values) + "]")


def _scalar(text: str) -> str:
    """Plain where no reader can take it for anything but text, else in double quotes."""
    if isinstance(text, _Raw):
        return text
    if _PLAIN.match(text) and text.lower() not in _SPECIAL:
        return text
    return json.dumps(text)
