"""Every way to reach a builder that can be had here: ssh, Docker over TLS and ssh, contexts, containers, buildx, pods.

There is no cluster here. For addresses `kubectl` is a stand-in, which checks what it is asked and starts what a pod
would; once it is the real one, and its API server is the stand-in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.engines import remote
from pkgtool.engines.interface import Engine, EngineLost
from pkgtool.errors import EngineError
from pkgtool.nodes import Node, parse_builder
from pkgtool.oci.store import Store
from tests.support import sid_tools
from tests.support.command_line import PROJECT
from tests.support.engine_builds import Built, build, request
from tests.support.remote import buildkit_program, cluster
from tests.support.remote.certificates import Authority
from tests.support.remote.hosts import DOCKER_PORT, SSHHost, docker_host, ssh_host
from tests.support.remote.workers import Worker

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.xdist_group("buildkit")]

Workers = tuple[Worker, Worker]
Programs = Callable[[str, str], None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    with store.in_use():
        yield store


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is first on PATH."""
    place = tmp_path / "programs"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return place


@pytest.fixture(scope="module")
def docker(workers: Workers, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Docker engine on the first worker's machine; the path of its socket."""
    with docker_host(workers[0].machine, tmp_path_factory.mktemp("host") / "docker", authority) as socket:
        yield socket


@pytest.fixture(scope="module")
def host(workers: Workers, docker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHHost]:
    """The first worker's machine, with an SSH server that finds buildctl, docker and that engine."""
    path = f"{buildkit_program.programs()}:{os.environ['PATH']}"
    place = tmp_path_factory.mktemp("host") / "ssh"
    with ssh_host(workers[0].machine, place, PATH=path, DOCKER_HOST=f"unix://{docker}") as running:
        yield running


@pytest.fixture
def ssh(host: SSHHost, programs: Path) -> SSHHost:
    """It, and an `ssh` on PATH that may log in to it."""
    (programs / "ssh").symlink_to(host.client / "ssh")
    return host


def built_by(node: Node, store: Store, place: Path) -> tuple[Built, Engine]:
    """A small image, built there."""
    engine = remote.connect(store, node)
    try:
        return build(engine, request(place, "FROM scratch\nCOPY content /etc/content\n"), place), engine
    finally:
        engine.close()


def check(node: Node, store: Store, place: Path, name: str) -> None:
    built, engine = built_by(node, store, place)
    assert built.files["etc/content"] == b"content\n"
    assert (engine.info.name, engine.info.node) == (name, node.name)


# -- ssh ------------------------------------------------------------------------------------------------------


def test_buildkit_over_ssh(ssh: SSHHost, workers: Workers, store: Store, tmp_path: Path) -> None:
    node = parse_builder(f"ssh://root@{ssh.machine.address}{workers[0].socket}")
    check(node, store, tmp_path, "buildkit")


def test_a_host_that_is_not_known_is_not_trusted(
    ssh: SSHHost, workers: Workers, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ssh.known_hosts.read_text()
    try:
        ssh.known_hosts.write_text("")
        with pytest.raises(EngineLost, match="Host key verification failed"):
            remote.connect(store, parse_builder(f"ssh://root@{ssh.machine.address}{workers[0].socket}"))
    finally:
        ssh.known_hosts.write_text(known)


def test_a_host_without_buildkit_says_so(ssh: SSHHost, store: Store) -> None:
    with pytest.raises(EngineLost, match="no such file or directory"):
        remote.connect(store, parse_builder(f"ssh://root@{ssh.machine.address}/run/nothing.sock"))


# -- Docker ---------------------------------------------------------------------------------------------------


def docker_node(workers: Workers, authority: Authority) -> Node:
    client = authority.issue("docker-client")
    url = f"docker+tcp://{workers[0].machine.address}:{DOCKER_PORT}"
    return parse_builder(f"{url}?ca={authority.ca}&cert={client.certificate}&key={client.key}")


def test_docker_over_tls(docker: str, workers: Workers, authority: Authority, store: Store, tmp_path: Path) -> None:
    check(docker_node(workers, authority), store, tmp_path, "docker")


def test_docker_refuses_a_stranger(
    docker: str, workers: Workers, authority: Authority, store: Store, tmp_path: Path
) -> None:
    node = docker_node(workers, authority)
    stranger = Authority(tmp_path / "other", "somebody else").issue("stranger")
    theirs = replace(node.trust, certificate=str(stranger.certificate), key=str(stranger.key))
    with pytest.raises(EngineError, match="the certificates don't fit") as caught:
        remote.connect(store, replace(node, trust=theirs))
    assert not isinstance(caught.value, EngineLost)


def test_docker_over_ssh(ssh: SSHHost, store: Store, tmp_path: Path) -> None:
    check(parse_builder(f"docker+ssh://root@{ssh.machine.address}"), store, tmp_path, "docker")


def test_a_docker_context(docker: str, workers: Workers, authority: Authority, store: Store, tmp_path: Path) -> None:
    trust = docker_node(workers, authority).trust
    where = f"host=tcp://{workers[0].machine.address}:{DOCKER_PORT}"
    files = f"ca={trust.ca},cert={trust.certificate},key={trust.key}"
    run("docker", "context", "create", "far", "--docker", f"{where},{files}")
    check(parse_builder("docker-context://far"), store, tmp_path, "docker")


def test_an_unknown_context_says_so(store: Store) -> None:
    with pytest.raises(EngineError, match="there is no Docker context 'nowhere'"):
        remote.connect(store, parse_builder("docker-context://nowhere"))


def test_buildkit_in_a_container(
    docker: str, workers: Workers, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `docker buildx create --driver docker-container` starts is reached in the same way."""
    context = tmp_path / "image"
    context.mkdir()
    shutil.copy(buildkit_program.programs() / "buildctl", context)
    shutil.copy(shutil.which("busybox") or "", context / "busybox")
    (context / "Dockerfile").write_text(
        'FROM scratch\nCOPY buildctl /bin/buildctl\nCOPY busybox /bin/sleep\nENV PATH=/bin\nCMD ["sleep", "1000"]\n'
    )
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker}")
    run("docker", "build", "--quiet", "--tag", "buildctl", str(context))
    socket = f"{workers[0].socket}:/run/buildkit/buildkitd.sock"
    run("docker", "run", "--detach", "--rm", "--net=none", "--name=worker", f"--volume={socket}", "buildctl")
    try:
        check(parse_builder("docker-container://worker"), store, tmp_path, "buildkit")
        with pytest.raises(EngineLost, match="No such container: other"):
            remote.connect(store, parse_builder("docker-container://other"))
    finally:
        run("docker", "kill", "worker")


# -- buildx ---------------------------------------------------------------------------------------------------


def test_all_nodes_of_a_builder_that_buildx_made(workers: Workers, store: Store, tmp_path: Path) -> None:
    buildx = buildx_program()
    for position, worker in enumerate(workers):
        files = worker.node("any").trust
        options = f"cacert={files.ca},cert={files.certificate},key={files.key}"
        more = ["--append"] if position else []
        address = f"tcp://{worker.machine.address}:1234"
        run(*buildx, "create", "--name=ours", *more, "--driver=remote", f"--driver-opt={options}", address)
    nodes = remote.expand([parse_builder("buildx://ours")])
    assert [node.endpoint.host for node in nodes] == [worker.machine.address for worker in workers]
    for position, node in enumerate(nodes):
        place = tmp_path / str(position)
        place.mkdir()
        check(node, store, place, "buildkit")


def buildx_program() -> list[str]:
    """sid's buildx, run by the C library that it was made for."""
    root = sid_tools.unpacked("docker-buildx")
    (loader,) = root.glob("usr/lib/*/ld-linux-*.so*")
    return [
        str(loader),
        "--library-path",
        str(loader.parent),
        str(root / "usr/libexec/docker/cli-plugins/docker-buildx"),
    ]


# -- Kubernetes -----------------------------------------------------------------------------------------------


def test_buildkit_in_a_pod(workers: Workers, store: Store, tmp_path: Path, programs: Path) -> None:
    seen = tmp_path / "seen"
    kubectl = programs / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$*" >> {seen}\n'
        'while [ "$1" != -- ]; do shift; done; shift; program=$1; shift\n'
        f'exec "{buildkit_program.programs()}/$program" --addr unix://{workers[0].socket} "$@"\n'
    )
    kubectl.chmod(0o755)
    node = parse_builder("kube-pod://deployment/buildkitd?namespace=builds&context=ci&container=worker")
    check(node, store, tmp_path, "buildkit")
    assert set(seen.read_text().splitlines()) == {
        "--context=ci --namespace=builds exec --stdin --container=worker deployment/buildkitd -- buildctl dial-stdio"
    }


def test_a_cluster_as_the_page_sets_it_up(
    workers: Workers,
    authority: Authority,
    store: Store,
    tmp_path: Path,
    programs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real kubectl and docs/kubernetes.yaml; the API server is a stand-in that holds to the Role in that file."""
    (programs / "kubectl").symlink_to(sid_tools.program("kubectl", "kubernetes-client"))
    pods = {f"buildkitd-{arch}-0": worker.socket for arch, worker in zip(("amd64", "arm64"), workers, strict=True)}
    with cluster.serving(pods, buildkit_program.programs() / "buildctl", authority) as kubernetes:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(kubernetes, tmp_path / "kubeconfig")))
        # The stand-in has no schemas to validate by.
        run("kubectl", "apply", "--validate=false", "-f", str(PROJECT / "docs" / "kubernetes.yaml"))
        assert run("kubectl", "--namespace=build", "get", "pods", "--output=name").split() == [
            f"pod/buildkitd-{arch}-{number}" for arch in ("amd64", "arm64") for number in (0, 1)
        ]
        token = run("kubectl", "--namespace=build", "create", "token", "pkgtool", "--duration=8h").strip()
        run("kubectl", "config", "set-credentials", "pkgtool", f"--token={token}")
        run("kubectl", "config", "set-context", "build", "--cluster=here", "--user=pkgtool", "--namespace=build")
        run("kubectl", "config", "use-context", "build")
        for pod in pods:
            place = tmp_path / pod
            place.mkdir()
            check(parse_builder(f"kube-pod://{pod}?namespace=build"), store, place, "buildkit")
        assert {what for who, what in kubernetes.asked if who == token} == {
            f"{verb} {pod}" for pod in pods for verb in ("get pods", "get pods/exec")
        }
        # The account can do nothing else, and what the cluster says of it is told.
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run(["kubectl", "get", "secrets"], check=True, capture_output=True)
        with pytest.raises(EngineLost, match="cannot get resource"):
            remote.connect(store, parse_builder("kube-pod://buildkitd-amd64-0?namespace=default"))


def test_what_kubectl_says_is_told(programs: Path, store: Store) -> None:
    (programs / "kubectl").write_text(
        '#!/bin/sh\necho "Error from server (NotFound): pods \\"none\\" not found" >&2\nexit 1\n'
    )
    (programs / "kubectl").chmod(0o755)
    with pytest.raises(EngineLost, match=r'pods "none" not found'):
        remote.connect(store, parse_builder("kube-pod://none"))


def test_a_missing_program_is_named(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pkgtool.programs._SYSTEM_DIRECTORIES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="kubectl is not installed"):
        remote.connect(store, parse_builder("kube-pod://any"))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout
