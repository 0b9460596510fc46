"""What an engine must do, done by buildah, by Docker 20.10, and by Docker 28 with the containerd image store."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.engines import buildah, docker
from pkgtool.engines.interface import Engine, Parent
from pkgtool.errors import BuildError, EngineError, Interrupted
from pkgtool.oci.store import Store
from pkgtool.values import Platform
from tests.support.command_line import CommandLine
from tests.support.docker_engines import DockerEngine
from tests.support.engine_builds import AMD64, BUSYBOX, EPOCH, build, busybox_parent, request, with_shell
from tests.support.processes import command_lines
from tests.support.store_images import stored
from tests.support.tree import TreeBuilder

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.xdist_group("docker")]

ENGINES = ("buildah", "docker_old", "docker_new")


@pytest.fixture(scope="module", params=ENGINES)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, kind: str) -> DockerEngine | None:
    """The Docker engine behind it, if there is one."""
    found: DockerEngine | None = request.getfixturevalue(kind) if kind.startswith("docker") else None
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("engines") / "store")
    with store.in_use():
        yield store


@pytest.fixture(scope="module")
def engine(server: DockerEngine | None, store: Store) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as environment:
        if server:
            environment.setenv("DOCKER_HOST", server.host)
        made = docker.connect(store) if server else buildah.connect(store)
    assert made
    yield made
    made.close()


@pytest.fixture(scope="module")
def busybox(engine: Engine, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Parent:
    return busybox_parent(engine, store, tmp_path_factory.mktemp("busybox"))


def test_it_says_what_it_is(engine: Engine, kind: str) -> None:
    name, detail, version = {
        "buildah": ("buildah", "as root", ""),
        "docker_old": ("docker", "overlay2 image store", "20.10"),
        "docker_new": ("docker", "containerd image store", "28."),
    }[kind]
    assert (engine.info.name, engine.info.platform, engine.info.detail) == (name, AMD64, detail)
    assert engine.info.version.startswith(version)


def test_an_image_comes_back_with_what_the_dockerfile_says(engine: Engine, tmp_path: Path) -> None:
    built = build(engine, request(tmp_path, 'FROM scratch\nCOPY content /etc/content\nCMD ["/it"]\n'), tmp_path)
    assert built.files["etc/content"] == b"content\n"
    assert built.config["config"]["Cmd"] == ["/it"]
    assert (built.config["os"], built.config["architecture"]) == ("linux", "amd64")


def test_another_platform_is_in_the_configuration(engine: Engine, tmp_path: Path) -> None:
    asked = request(tmp_path, "FROM scratch\nCOPY content /\n", platform=Platform("linux", "arm64"))
    assert build(engine, asked, tmp_path).config["architecture"] == "arm64"


def test_a_parent_comes_from_the_store(engine: Engine, busybox: Parent, tmp_path: Path) -> None:
    built = build(engine, with_shell(tmp_path, busybox, "RUN echo made > /made"), tmp_path)
    assert built.files["made"] == b"made\n"
    assert "bin/busybox" in built.files


def test_a_parent_is_named_by_an_argument(engine: Engine, busybox: Parent, tmp_path: Path) -> None:
    recipe = "ARG BUSYBOX_TOOL\nARG BUSYBOX_IMAGE\nFROM --platform=$BUILDPLATFORM ${BUSYBOX_TOOL} AS tool\n"
    recipe += "RUN echo by the tool > /made\nFROM ${BUSYBOX_IMAGE}\nCOPY --from=tool /made /made\n"
    names = {"BUSYBOX_TOOL": str(busybox.reference), "BUSYBOX_IMAGE": str(busybox.reference)}
    asked = request(tmp_path, recipe, parents=(busybox,), build_args=names, tools=AMD64)
    assert build(engine, asked, tmp_path).files["made"] == b"by the tool\n"


def test_arguments_and_the_time_reach_the_steps(engine: Engine, busybox: Parent, tmp_path: Path) -> None:
    step = "ARG COLOUR\nARG SOURCE_DATE_EPOCH\nRUN echo $COLOUR $SOURCE_DATE_EPOCH > /seen"
    arguments = {"COLOUR": "grün & blau", "SOURCE_DATE_EPOCH": str(EPOCH)}
    built = build(engine, with_shell(tmp_path, busybox, step, build_args=arguments), tmp_path)
    assert built.files["seen"].decode() == f"grün & blau {EPOCH}\n"


def test_steps_have_no_network_unless_it_is_asked_for(engine: Engine, busybox: Parent, tmp_path: Path) -> None:
    step = "RUN cat /proc/net/dev > /devices"

    def devices(*, network: bool) -> set[str]:
        asked = with_shell(tmp_path, busybox, step, network=network)
        text = build(engine, asked, tmp_path).files["devices"].decode()
        return {line.partition(":")[0].strip() for line in text.splitlines() if ":" in line}

    without, with_it = devices(network=False), devices(network=True)
    assert "eth0" not in without
    assert with_it - without, "a step that may use the network has a device for it"


def test_the_log_arrives_line_by_line(engine: Engine, busybox: Parent, tmp_path: Path) -> None:
    step = "RUN echo one; printf t; echo wo; printf three\nRUN echo err >&2"
    built = build(engine, with_shell(tmp_path, busybox, step), tmp_path)
    assert [line for line in built.lines if line in ("one", "two")] == ["one", "two"]
    assert "err" in built.lines
    assert any(line.startswith("three") for line in built.lines)


def test_a_failed_step_is_a_build_error_with_its_lines(engine: Engine, busybox: Parent, tmp_path: Path) -> None:
    lines: list[str] = []
    asked = with_shell(tmp_path, busybox, "RUN echo the reason; exit 3")
    with pytest.raises(BuildError):
        engine.build(asked, tmp_path / "image.tar", log=lines.append, cancel=Cancellation())
    assert "the reason" in lines


def test_a_mistake_in_the_dockerfile_is_a_build_error(engine: Engine, tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(BuildError) as raised:
        engine.build(
            request(tmp_path, "FROM scratch\nCOPPY a b\n"),
            tmp_path / "image.tar",
            log=lines.append,
            cancel=Cancellation(),
        )
    assert "COPPY" in "\n".join([str(raised.value), *raised.value.details, *lines])


def test_cancelling_ends_the_step_and_leaves_nothing(
    engine: Engine, server: DockerEngine | None, busybox: Parent, tmp_path: Path
) -> None:
    before = _results(server)
    cancel, started = Cancellation(), threading.Event()

    def log(line: str) -> None:
        if line == "now":
            started.set()

    asked = with_shell(tmp_path, busybox, "RUN echo now; sleep 7654", use_cache=False)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(engine.build, asked, tmp_path / "image.tar", log=log, cancel=cancel)
        assert started.wait(60)
        asked_at = time.monotonic()
        cancel.request()
        with pytest.raises(Interrupted):
            running.result(30)
    assert time.monotonic() - asked_at < 20
    for _ in range(100):
        if not _sleepers():
            break
        time.sleep(0.1)
    assert _sleepers() == []
    assert _results(server) == before


def _sleepers() -> list[str]:
    return [command.decode() for command in command_lines() if b"sleep\x007654" in command]


def _results(server: DockerEngine | None) -> set[str]:
    return {name for name in server.images() if "pkgtool-result" in name} if server else set()


def test_nothing_stays_under_the_results_name(engine: Engine, server: DockerEngine | None, tmp_path: Path) -> None:
    build(engine, request(tmp_path, "FROM scratch\nCOPY content /\n"), tmp_path)
    assert _results(server) == set()


def test_builds_at_the_same_time_are_told_apart(engine: Engine, busybox: Parent, tmp_path: Path) -> None:
    def one(number: int) -> bytes:
        place = tmp_path / str(number)
        place.mkdir()
        asked = with_shell(place, busybox, f"COPY content /\nRUN echo {number} >> /content")
        (asked.context / "content").write_text(f"of {number}\n")
        return build(engine, asked, place).files["content"]

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(one, range(6)))
    assert found == [f"of {number}\n{number}\n".encode() for number in range(6)]


def test_a_package_for_another_engine_is_refused_by_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from pkgtool.engines import select

    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(EngineError, match="no Docker engine answers") as raised:
        select.connect(store, "docker")
    assert "--engine buildah" in str(raised.value.hint)
    assert select.connect(store, "auto").info.name == "buildah"


def test_a_parent_is_loaded_once(
    engine: Engine, busybox: Parent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an engine has already is not sent again, whichever way it names images."""
    sent: list[object] = []
    for module in (buildah, docker):
        monkeypatch.setattr(module, "write_docker_archive", lambda *arguments: sent.append(arguments))
    build(engine, with_shell(tmp_path, busybox, "RUN true"), tmp_path)
    assert sent == []


TREE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY content /etc/app/content
RUN mkdir /made && echo "$SOURCE_DATE_EPOCH" > /made/time && rm /bin/ash && chmod 4755 /made && ln -s made /link
"""


_AGREED: dict[str, dict[str, str]] = {}
"""The digests that the first engine made, which the others must make too."""


def test_every_engine_makes_the_same_image(
    kind: str,
    server: DockerEngine | None,
    tree: TreeBuilder,
    pkgtool: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Also with a `docker` program first on PATH that can't do anything, as a newer client without buildx."""
    called = tmp_path / "called"
    client = tree.write("../bin/docker", f'#!/bin/sh\necho "$@" >> {called}\nexit 1\n', executable=True)
    monkeypatch.setenv("PATH", f"{client.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_HOST", server.host if server else "unix:///nowhere/docker.sock")
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    tree.package("base", dockerfile=BUSYBOX, files={"busybox": busybox})
    tree.package("app", "depends:\n  packages: [base]\n", dockerfile=TREE)
    tree.commit()
    images = pkgtool("build", "--json").ok().json["images"]
    assert {image["madeBy"].split()[0] for image in images} == {"docker" if server else "buildah"}
    assert not called.exists()
    seen = {image["package"]: image["digest"] for image in images}
    assert seen == _AGREED.setdefault("digests", seen)


LENT = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS first
RUN cat "$SSL_CERT_FILE" > /first
FROM ${BASE_IMAGE}
COPY --from=first /first /first
COPY . /context
RUN cat "$CURL_CA_BUNDLE" > /second
"""


def test_steps_with_the_network_trust_whom_the_machine_trusts(
    server: DockerEngine | None,
    tree: TreeBuilder,
    pkgtool: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """And nothing of it is in the image, its configuration or its context."""
    authorities = tmp_path / "authorities.pem"
    authorities.write_text("an authority\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    monkeypatch.setenv("DOCKER_HOST", server.host if server else "unix:///nowhere/docker.sock")
    tree.package("base", dockerfile=BUSYBOX, files={"busybox": Path(shutil.which("busybox") or "").read_bytes()})
    tree.package("app", "network: true\ndepends:\n  packages: [base]\n", dockerfile=LENT)
    tree.commit()
    reference = pkgtool("build", "--json", "app").ok() and pkgtool("show-tag", "app").ok().out.strip()
    image = stored(pkgtool.store, f"{reference}-amd64")
    root = image.unpack(tmp_path / "root")
    assert (root / "first").read_text() == (root / "second").read_text() == "an authority\n"
    assert sorted(path.name for path in (root / "context").iterdir()) == ["Dockerfile", "build.yml", "content"]
    assert not [name for name in image.names() if "authorities" in name]
    assert "authorities" not in json.dumps(image.config)
