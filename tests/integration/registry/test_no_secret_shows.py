"""Whatever commands do with credentials: nothing of them is in what they print, write, or start."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

from pkgtool.errors import ExitCode
from tests.support.command_line import CommandLine
from tests.support.processes import command_lines
from tests.support.registry import server
from tests.support.registry.built_tree import fill
from tests.support.registry.server import Modes, State, serving
from tests.support.tree import TreeBuilder

USER, PASSWORD = "builder", "pa:ss wörd-SECRET-7f3a"
PROXY_PASSWORD = "PROXY-SECRET-11c9"


@dataclass
class Watch:
    """Everything that shows while commands run: their output, the arguments of every process, their files."""

    places: list[Path]
    texts: list[str] = field(default_factory=list)
    arguments: set[bytes] = field(default_factory=set)

    def run(self, line: CommandLine, *arguments: str, code: int = 0, **env: str) -> None:
        ended = line.run(*arguments, env=env)
        assert ended.code == code, ended.err
        self.texts += [ended.out, ended.err]

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """What can be searched, each with a name."""
        for number, text in enumerate(self.texts):
            yield f"output {number}", text.encode()
        for argument in self.arguments:
            yield "an argument list", argument
        for place in filter(Path.exists, self.places):
            files = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]
            for path in files:
                yield str(path), path.read_bytes()


@contextmanager
def watching(*places: Path) -> Iterator[Watch]:
    """Look at the argument list of every process of this machine while the block runs."""
    watch = Watch(list(places))
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            watch.arguments.update(command_lines())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def spellings(secret: str) -> set[bytes]:
    """A secret as it could show: plain, in JSON, in a URL, in base64 alone and after the user's name."""
    plain = secret.encode()
    pair = f"{USER}:{secret}".encode()
    return {
        plain,
        json.dumps(secret)[1:-1].encode(),
        quote(secret).encode(),
        base64.b64encode(plain),
        base64.b64encode(pair),
        base64.urlsafe_b64encode(pair),
    }


def log_in(home: Path, address: str, how: str, secret: str) -> None:
    """As `docker login` does it: into the file, as an identity token, or into a helper."""
    entry: dict[str, str] = {"auth": base64.b64encode(f"{USER}:{secret}".encode()).decode()}
    if how == "identity":
        entry["identitytoken"] = secret
    document: dict[str, object] = {"auths": {address: entry}}
    if how == "helper":
        document = {"credHelpers": {address: "test"}}
        program = home / "bin" / "docker-credential-test"
        program.parent.mkdir(exist_ok=True)
        answer = json.dumps({"Username": USER, "Secret": secret}, ensure_ascii=False)
        program.write_text(f"#!/bin/sh\ncat >/dev/null\ncat <<'END'\n{answer}\nEND\n")
        program.chmod(0o755)
    (home / "docker").mkdir(exist_ok=True)
    (home / "docker" / "config.json").write_text(json.dumps(document))


def echoing(handler: server.Handler, method: str, path: str) -> bool:
    """An error of a registry that repeats what it was sent."""
    sent = handler.headers.get("Authorization", "")
    if not sent or path == "/token":
        return False
    handler.body()
    handler.answer(403, json.dumps({"errors": [{"code": "DENIED", "message": "no"}], "sent": sent}).encode())
    return True


MODES = {
    "basic": Modes(basic=(USER, PASSWORD)),
    "token": Modes(bearer=(USER, PASSWORD)),
    "helper": Modes(bearer=(USER, PASSWORD), token_form="post"),
    "identity": Modes(bearer=(USER, PASSWORD), token_form="identity"),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", MODES)
def test_nothing_shows(
    how: str, tree: TreeBuilder, pkgtool: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.package("alpha", "arches: [amd64, arm64]\n")
    tree.commit()
    fill(pkgtool, own={"alpha": 40_000_000} if how == "token" else {})
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    empty = CommandLine(tree.root, tmp_path / "empty")
    with serving(MODES[how]) as state, watching(pkgtool.store, empty.store, out) as watch:
        log_in(tmp_path, state.address, how, PASSWORD)
        _everything_that_works(watch, pkgtool, empty, state, out, most=how in ("token", "helper"))
        _everything_that_fails(watch, pkgtool, state, tmp_path, how)
        secrets = spellings(PASSWORD).union(*(spellings(token) for token in state.tokens))
    assert len(watch.arguments) > 5, "processes were seen"
    assert not MODES[how].bearer or state.tokens
    secrets |= spellings("wrong-SECRET-55e0")
    found = {name for name, content in watch.everything() for secret in secrets if secret in content}
    assert not found


def _everything_that_works(
    watch: Watch, pkgtool: CommandLine, empty: CommandLine, state: State, out: Path, *, most: bool
) -> None:
    there = ("--registry", state.address)
    watch.run(pkgtool, "-vv", "push", *there, "--progress", "json")
    if not most:
        return
    watch.run(pkgtool, "push", *there, "--json", "-vv")
    watch.run(empty, "pull", *there, "-vv", "--progress", "plain")
    watch.run(pkgtool, "manifest", *there, "--json", "-vv")
    watch.run(pkgtool, "release", "v1", *there, "--file", str(out / "v1.json"), "-vv")
    watch.run(pkgtool, "promote", "-vv", "--release", str(out / "v1.json"), state.address, f"{state.address}/other")
    watch.run(pkgtool, "export", "-vv", "--release", str(out / "v1.json"), str(out / "v1.tar"), "--json")
    watch.run(pkgtool, "import", "-vv", str(out / "v1.tar"), f"{state.address}/third")


def _everything_that_fails(watch: Watch, pkgtool: CommandLine, state: State, home: Path, how: str) -> None:
    there = ("--registry", f"{state.address}/new")
    state.interfere = echoing
    watch.run(pkgtool, "push", *there, "--json", "-vv", code=ExitCode.REGISTRY)
    state.interfere = None
    log_in(home, state.address, how, "wrong-SECRET-55e0")
    watch.run(pkgtool, "push", *there, "-vv", code=ExitCode.REGISTRY)
    (home / "docker" / "config.json").write_text('{"auths": {"x": {"auth": "' + PASSWORD)
    watch.run(pkgtool, "push", *there, "-vv", code=ExitCode.CONFIGURATION)


def test_a_proxys_password_is_not_repeated(
    tree: TreeBuilder, pkgtool: CommandLine, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.package("alpha", "arches: [amd64]\n")
    tree.write("pkgtool.yml", "insecure-registries: [registry.invalid]\n")
    tree.commit()
    with serving() as proxy:
        for place in (proxy.address, "127.0.0.1:1", "not a place"):
            for name in ("http_proxy", "https_proxy"):
                monkeypatch.setenv(name, f"http://{USER}:{PROXY_PASSWORD}@{place}")
            ended = pkgtool("manifest", "--registry", "registry.invalid", "-vv")
            assert ended.code in (ExitCode.REGISTRY, ExitCode.CONFIGURATION)
            assert not any(secret in (ended.out + ended.err).encode() for secret in spellings(PROXY_PASSWORD))
        assert any("proxy-authorization" in seen.headers for seen in proxy.seen), "the proxy was told"


def test_an_address_with_a_password_is_not_repeated(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("alpha", "arches: [amd64]\n")
    tree.commit()
    fill(pkgtool)
    for address in (f"{USER}:{PROXY_PASSWORD}@registry.invalid", f"https://{USER}:{PROXY_PASSWORD}@registry.invalid"):
        for command in (("push",), ("pull",), ("manifest",), ("release", "v1"), ("build", "--no-pull")):
            ended = pkgtool(*command, "--registry", address)
            if command[0] not in ("build", "pull"):  # those have nothing to ask it for
                assert ended.code == ExitCode.CONFIGURATION, ended.err
            assert PROXY_PASSWORD not in ended.out + ended.err
        ended = pkgtool("import", "nothing", address)
        assert PROXY_PASSWORD not in ended.out + ended.err
        tree.write("pkgtool.yml", f"registry: {address}\n")
        tree.commit()
        ended = pkgtool("push")
        assert ended.code == ExitCode.CONFIGURATION
        assert PROXY_PASSWORD not in ended.out + ended.err


def test_the_watch_sees_arguments() -> None:
    """So that finding nothing means something."""
    with watching() as watch:
        subprocess.run(["sleep", "0.3"], check=True)
    assert any(argument.startswith(b"sleep\x00") for argument in watch.arguments)
