"""What is installed, which engine would be used and why, what is missing and the command that brings it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pkgtool import programs
from pkgtool.engines.interface import Engine
from pkgtool.errors import PkgtoolError, SourceError
from pkgtool.nodes import Node
from pkgtool.oci.store import Store
from pkgtool.workflows.engines import chosen_nodes
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.store import find_store
from pkgtool.workflows.tree import open_workspace

_LOW_SPACE = 2 * 10**9
_NODES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `state` is ok, missing (something that pkgtool needs here) or optional."""

    subject: str
    state: str
    detail: str
    remedy: str = ""


def examine(options: RunOptions) -> Iterator[Finding]:
    """Look at the machine. Never raises for what it finds."""
    store = find_store(options)
    yield _program("git", needed=True)
    yield from _engines(store, options.engine)
    yield from _nodes(options, store)
    yield from _foreign_programs(options)
    for name in ("mmdebstrap", "unshare", "setpriv", "apt-get", "gpgv"):
        yield _program(name, needed=True)
    if os.geteuid() != 0:
        yield _program("newuidmap", needed=True)
        yield _subordinate_ids()
    for name in ("go", "qemu-system-x86_64", "diffoscope"):
        yield _program(name, needed=False)
    yield _space(store)


def _program(name: str, *, needed: bool) -> Finding:
    path = programs.find(name)
    purpose = programs.PROGRAMS[name].purpose
    if path:
        return Finding(name, "ok", f"{path} ({purpose})")
    return Finding(
        name, "missing" if needed else "optional", f"not installed; it {purpose}", programs.install_hint(name)
    )


def _engines(store: Store, wanted: str) -> Iterator[Finding]:
    from pkgtool.engines import buildah, docker

    found = {"docker": _try(lambda: docker.connect(store)), "buildah": _try(lambda: buildah.connect(store))}
    usable = [name for name, engine in found.items() if engine and not isinstance(engine, PkgtoolError)]
    chosen = wanted if wanted != "auto" else next(iter(usable), "")
    for name, engine in found.items():
        if engine is None or isinstance(engine, PkgtoolError):
            yield _unusable(name, engine, "missing" if name == chosen else "optional")
        else:
            why = _reason(name, wanted) if name == chosen else "not used: the other one is chosen"
            yield Finding(name, "ok", f"{engine.info.version}, {engine.info.detail}; {why}")
            engine.close()
    if not chosen:
        yield Finding("engine", "missing", "there is none to build with", programs.install_hint("buildah"))


def _unusable(name: str, problem: PkgtoolError | None, state: str) -> Finding:
    """An engine that was found but can't be used, or of which there is no trace."""
    from pkgtool.engines import docker_absent

    if problem:
        return Finding(name, state, f"can't be used: {problem.message}", problem.hint or "")
    if name == "docker":
        absence = docker_absent.explain()
        return Finding(name, state, absence.reason, absence.remedy)
    return Finding(name, state, "not installed", programs.install_hint(name))


def _reason(name: str, wanted: str) -> str:
    if wanted != "auto":
        return "used: asked for with --engine"
    return "used: it answers" if name == "docker" else "used: no Docker engine answers"


def _try(connect: Callable[[], Engine | None]) -> Engine | PkgtoolError | None:
    try:
        return connect()
    except PkgtoolError as problem:
        return problem


def _nodes(options: RunOptions, store: Store) -> Iterator[Finding]:
    """Every builder that is named: whether it answers, what it is and what for. All are asked at once."""
    from pkgtool.engines import remote

    try:
        nodes = remote.expand(_named_nodes(options))
    except PkgtoolError as problem:
        yield Finding("builders", "missing", problem.message, problem.hint or "")
        return
    if nodes:
        with ThreadPoolExecutor(_NODES_AT_ONCE) as pool:
            yield from pool.map(lambda node: _node(node, store), nodes)


def _foreign_programs(options: RunOptions) -> Iterator[Finding]:
    """Whether programs of the tree's other platforms run here: packages with steps of those need it, Go's do not."""
    from pkgtool.engines import binfmt

    try:
        workspace, _ = open_workspace(options)
    except SourceError:  # outside any tree
        return
    for platform in sorted({platform for package in workspace.packages.values() for platform in package.platforms}):
        subject = f"programs for {platform}"
        problem = binfmt.obstacle(platform)
        found = binfmt.handler(platform)
        if problem:
            detail = f"{problem}; packages that run some in their build can't be built here"
            yield Finding(subject, "optional", detail, binfmt.remedy(platform))
        elif found and not binfmt.runs_natively(platform):
            yield Finding(subject, "ok", f"run by {found.interpreter}")


def _named_nodes(options: RunOptions) -> tuple[Node, ...]:
    try:
        workspace, _ = open_workspace(options)
    except SourceError:  # outside any tree
        return options.builders
    return chosen_nodes(options, workspace)


def _node(node: Node, store: Store) -> Finding:
    from pkgtool.engines import remote

    subject = f"builder {node.name}"
    try:
        engine = remote.connect(store, node)
    except PkgtoolError as problem:
        return Finding(subject, "missing", problem.message, problem.hint or "")
    info = engine.info
    engine.close()
    own = node.platforms or (info.platform, *info.emulated)
    natively = [str(p) for p in own if p == info.platform]
    emulated = [str(p) for p in own if p != info.platform]
    what = [
        f"{info.name} {info.version}",
        *([f"{', '.join(natively)} natively"] if natively else []),
        *([f"{', '.join(emulated)} by emulation"] if emulated else []),
        f"{node.jobs} steps at a time",
    ]
    return Finding(subject, "ok", f"{node.endpoint}: {'; '.join(what)}")


def _subordinate_ids() -> Finding:
    import getpass

    user = getpass.getuser()
    for file in (Path("/etc/subuid"), Path("/etc/subgid")):
        lines = file.read_text().splitlines() if file.is_file() else []
        if not any(line.split(":")[0] in (user, str(os.getuid())) for line in lines):
            remedy = f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
            return Finding("subordinate ids", "missing", f"{user} has none in {file}, so can't build", remedy)
    return Finding("subordinate ids", "ok", f"{user} has some")


def _space(store: Store) -> Finding:
    place = store.root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    detail = f"{store.root}, {free / 1e9:.1f} GB free"
    if free < _LOW_SPACE:
        return Finding("store", "missing", f"{detail}: builds may fail", "pkgtool store gc --older-than 1d")
    return Finding("store", "ok", detail)
