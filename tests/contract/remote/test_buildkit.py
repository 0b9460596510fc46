"""What an engine must do, done by a real BuildKit on another machine, over mutual TLS."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.engines.buildkit.engine import BuildKitEngine
from pkgtool.engines.interface import EngineLost, Parent
from pkgtool.errors import BuildError, EngineError, Interrupted
from pkgtool.nodes import Endpoint, Node, Trust
from pkgtool.oci.store import Store
from pkgtool.values import Platform
from tests.support.engine_builds import AMD64, EPOCH, build, busybox_parent, request, with_shell
from tests.support.processes import command_lines
from tests.support.remote.certificates import Authority
from tests.support.remote.workers import Worker

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.xdist_group("buildkit")]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    with store.in_use():
        yield store


@pytest.fixture
def engine(workers: tuple[Worker, Worker], store: Store) -> Iterator[BuildKitEngine]:
    made = BuildKitEngine(store, workers[0].node("first"))
    yield made
    made.close()


@pytest.fixture
def busybox(engine: BuildKitEngine, store: Store, tmp_path: Path) -> Parent:
    return busybox_parent(engine, store, tmp_path)


def test_it_says_what_it_is(engine: BuildKitEngine) -> None:
    assert (engine.info.name, engine.info.platform, engine.info.node) == ("buildkit", AMD64, "first")
    assert str(engine.info) == "buildkit v0.34.2 on first"


def test_an_image_comes_back_with_what_the_dockerfile_says(engine: BuildKitEngine, tmp_path: Path) -> None:
    built = build(engine, request(tmp_path, 'FROM scratch\nCOPY content /etc/content\nCMD ["/it"]\n'), tmp_path)
    assert built.files["etc/content"] == b"content\n"
    assert built.config["config"]["Cmd"] == ["/it"]
    assert (built.config["os"], built.config["architecture"]) == ("linux", "amd64")


def test_another_platform_is_in_the_configuration(engine: BuildKitEngine, tmp_path: Path) -> None:
    asked = request(tmp_path, "FROM scratch\nCOPY content /\n", platform=Platform("linux", "arm64"))
    assert build(engine, asked, tmp_path).config["architecture"] == "arm64"


def test_a_parent_comes_from_here_by_digest(engine: BuildKitEngine, busybox: Parent, tmp_path: Path) -> None:
    built = build(engine, with_shell(tmp_path, busybox, "RUN echo made > /made"), tmp_path)
    assert built.files["made"] == b"made\n"
    assert len(built.layers) == 2


def test_a_parents_layers_are_not_sent_back(
    engine: BuildKitEngine, busybox: Parent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pkgtool.engines.buildkit import content

    taken: list[int] = []
    take = content._Writing.take

    def counting(self: content._Writing, message: object) -> str:
        taken.append(len(message.content(6)))  # type: ignore[attr-defined]
        return take(self, message)  # type: ignore[arg-type]

    monkeypatch.setattr(content._Writing, "take", counting)
    build(engine, with_shell(tmp_path, busybox, "RUN echo more > /more"), tmp_path)
    assert sum(taken) < 10_000 < busybox_size(busybox)


def busybox_size(parent: Parent) -> int:
    return Path(shutil.which("busybox") or "").stat().st_size


def test_build_arguments_and_the_time_reach_the_steps(engine: BuildKitEngine, busybox: Parent, tmp_path: Path) -> None:
    step = "ARG COLOUR\nARG SOURCE_DATE_EPOCH\nRUN echo $COLOUR $SOURCE_DATE_EPOCH > /seen"
    arguments = {"COLOUR": "grün & blau", "SOURCE_DATE_EPOCH": str(EPOCH)}
    built = build(engine, with_shell(tmp_path, busybox, step, build_args=arguments), tmp_path)
    assert built.files["seen"].decode() == f"grün & blau {EPOCH}\n"


def test_steps_have_no_network_unless_it_is_asked_for(engine: BuildKitEngine, busybox: Parent, tmp_path: Path) -> None:
    step = "RUN ls /sys/class/net > /devices"
    without = build(engine, with_shell(tmp_path, busybox, step), tmp_path).files["devices"].split()
    with_it = build(engine, with_shell(tmp_path, busybox, step, network=True), tmp_path).files["devices"].split()
    assert (without, with_it) == ([b"lo"], [b"eth0", b"lo"])


def test_tools_run_on_the_platform_that_is_said(engine: BuildKitEngine, tmp_path: Path) -> None:
    dockerfile = "FROM --platform=$BUILDPLATFORM scratch AS t\nARG BUILDPLATFORM\nCOPY content /$BUILDPLATFORM\n"
    asked = request(tmp_path, f"{dockerfile}FROM scratch\nCOPY --from=t / /\n", tools=Platform("linux", "riscv64"))
    assert "linux/riscv64" in build(engine, asked, tmp_path).files


def test_the_log_arrives_line_by_line(engine: BuildKitEngine, busybox: Parent, tmp_path: Path) -> None:
    built = build(
        engine, with_shell(tmp_path, busybox, "RUN echo one; printf t; echo wo; echo err >&2; printf three"), tmp_path
    )
    assert [line for line in built.lines if line in ("one", "two", "three")] == ["one", "two", "three"]
    assert "err" in built.lines


def test_a_failed_step_is_a_build_error_with_its_lines(engine: BuildKitEngine, busybox: Parent, tmp_path: Path) -> None:
    lines: list[str] = []
    asked = with_shell(tmp_path, busybox, "RUN echo the reason; exit 3")
    with pytest.raises(BuildError, match="exit code: 3"):
        engine.build(asked, tmp_path / "image.tar", log=lines.append, cancel=Cancellation())
    assert "the reason" in lines


def test_a_mistake_in_the_dockerfile_is_a_build_error(engine: BuildKitEngine, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="unknown instruction: FORM"):
        build(engine, request(tmp_path, "FORM scratch\n"), tmp_path)


def test_without_the_cache_every_step_runs_again(engine: BuildKitEngine, busybox: Parent, tmp_path: Path) -> None:
    def once(*, use_cache: bool) -> bytes:
        asked = with_shell(tmp_path, busybox, "RUN cat /proc/sys/kernel/random/uuid > /id", use_cache=use_cache)
        return build(engine, asked, tmp_path).files["id"]

    first = once(use_cache=True)
    assert once(use_cache=True) == first
    assert once(use_cache=False) != first


def test_files_that_differ_only_in_content_are_told_apart(engine: BuildKitEngine, tmp_path: Path) -> None:
    for text in ("one\n", "two\n"):
        asked = request(tmp_path, "FROM scratch\nCOPY content /\n")
        (asked.context / "content").write_text(text)
        assert build(engine, asked, tmp_path).files["content"].decode() == text


def test_contexts_of_builds_at_the_same_time_are_told_apart(
    engine: BuildKitEngine, busybox: Parent, tmp_path: Path
) -> None:
    def one(number: int) -> bytes:
        place = tmp_path / str(number)
        place.mkdir()
        asked = with_shell(place, busybox, "COPY content /\nRUN sleep 0.3")
        (asked.context / "content").write_text(f"{number}\n")
        return build(engine, asked, place).files["content"]

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(one, range(6))) == [f"{number}\n".encode() for number in range(6)]


def test_cancellation_ends_the_build_and_its_steps(
    engine: BuildKitEngine, workers: tuple[Worker, Worker], busybox: Parent, tmp_path: Path
) -> None:
    cancel = Cancellation()
    started = threading.Event()

    def log(line: str) -> None:
        if line == "begun":
            started.set()

    timer = threading.Thread(target=lambda: (started.wait(60), cancel.request()))
    timer.start()
    before = time.monotonic()
    asked = with_shell(tmp_path, busybox, "RUN echo begun; sleep 1000.25")
    with pytest.raises(Interrupted):
        engine.build(asked, tmp_path / "image.tar", log=log, cancel=cancel)
    timer.join()
    assert time.monotonic() - before < 60
    wait_until(lambda: not any(b"1000.25" in command for command in command_lines()))


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_worker_sees_nothing_of_the_store_but_the_parents(
    engine: BuildKitEngine, store: Store, busybox: Parent, tmp_path: Path
) -> None:
    other = store.layout.write(b"a secret", "text/plain")
    forged = Parent(busybox.reference, busybox.manifest)
    asked = request(tmp_path, f"FROM {busybox.reference}\n", parents=(forged,))
    from pkgtool.engines.buildkit.content import Exchange

    exchange = Exchange(tmp_path / "exchange")
    exchange.offer(asked.parents, store.layout)
    offered = {path.name for path in (tmp_path / "exchange/blobs/sha256").iterdir()}
    assert busybox.manifest.digest.hex in offered
    assert other.digest.hex not in offered


# -- trust ----------------------------------------------------------------------------------------------------


def refused(node: Node, store: Store) -> EngineError:
    with pytest.raises(EngineError) as caught:
        BuildKitEngine(store, node)
    assert not isinstance(caught.value, EngineLost), caught.value.message
    return caught.value


def test_a_worker_signed_by_somebody_else_is_refused(
    workers: tuple[Worker, Worker], store: Store, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other", "somebody else")
    node = workers[0].node("first")
    problem = refused(replace(node, trust=replace(node.trust, ca=str(other.ca))), store)
    assert "shows a certificate that is not trusted: " in problem.message
    assert f"signed by {other.ca}" in (problem.hint or "")


def test_a_worker_with_another_name_is_refused(workers: tuple[Worker, Worker], store: Store) -> None:
    node = workers[0].node("first")
    problem = refused(replace(node, trust=replace(node.trust, server_name="elsewhere.example")), store)
    assert "Hostname mismatch, certificate is not valid for 'elsewhere.example'" in problem.message


@pytest.mark.parametrize("kind", ["signed by somebody else", "none", "expired"])
def test_a_worker_that_refuses_our_certificate_is_reported(
    workers: tuple[Worker, Worker], authority: Authority, store: Store, tmp_path: Path, kind: str
) -> None:
    node = workers[0].node("first")
    if kind == "none":
        trust = Trust(ca=node.trust.ca)
    elif kind == "expired":
        trust = authority.trust(authority.issue("late", lifetime=dt.timedelta(minutes=-5)))
    else:
        stranger = Authority(tmp_path / "other", "somebody else").issue("stranger")
        trust = replace(node.trust, certificate=str(stranger.certificate), key=str(stranger.key))
    problem = refused(replace(node, trust=trust), store)
    assert "refuses our certificate" in problem.message
    assert "grpc.tls.ca" in (problem.hint or "")


def test_speaking_plainly_to_a_worker_that_wants_tls_says_so(workers: tuple[Worker, Worker], store: Store) -> None:
    endpoint = replace(workers[0].node("first").endpoint, options={"tls": "off"})
    with pytest.raises(EngineLost, match="closes the connection at once; if it wants TLS, name its ca, cert and key"):
        BuildKitEngine(store, Node("first", endpoint))


def test_an_absent_worker_is_lost_not_refused(workers: tuple[Worker, Worker], store: Store) -> None:
    node = workers[0].node("first")
    with pytest.raises(EngineLost, match="can't be reached: Connection refused"):
        BuildKitEngine(store, replace(node, endpoint=replace(node.endpoint, port=9)))


def test_a_unix_socket_needs_no_certificates(workers: tuple[Worker, Worker], store: Store, tmp_path: Path) -> None:
    short = tmp_path / "s"
    short.symlink_to(workers[0].socket)
    engine = BuildKitEngine(store, Node("here", Endpoint("unix", path=str(short))))
    assert build(engine, request(tmp_path, "FROM scratch\nCOPY content /\n"), tmp_path).files["content"]
    engine.close()
