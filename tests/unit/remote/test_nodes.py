"""Addresses of builders: on the command line, in pkgtool.yml, and from buildx."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.config.settings import read_settings
from pkgtool.engines import buildx, remote
from pkgtool.engines.buildkit.tunnel import command
from pkgtool.errors import EngineError
from pkgtool.nodes import SCHEMES, Endpoint, Node, Trust, builder_text, merge, parse_builder, parse_endpoint
from pkgtool.values import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.mark.parametrize(
    ("text", "name", "platforms"),
    [
        ("linux/arm64=tcp://10.0.0.7:1234", "10.0.0.7:1234", (ARM64,)),
        ("linux/arm64,amd64=unix:///run/buildkit/buildkitd.sock", "/run/buildkit/buildkitd.sock", (ARM64, AMD64)),
        ("tcp://[fd00::7]:1234?ca=a=b.pem", "[fd00::7]:1234", ()),
        ("kube-pod://Buildkitd-0?namespace=ci", "Buildkitd-0", ()),
        ("linux/amd64=local", "local", (AMD64,)),
        ("docker-context://My_Context", "My_Context", ()),
        ("docker+ssh://me@host:2222", "me@host:2222", ()),
    ],
)
def test_builders_on_the_command_line(text: str, name: str, platforms: tuple[Platform, ...]) -> None:
    node = parse_builder(text)
    assert (node.name, node.platforms, node.jobs) == (name, platforms, 2)
    assert parse_builder(builder_text(node)) == node


def test_options_of_an_address_are_its_trust_and_room() -> None:
    endpoint, trust, jobs = parse_endpoint("tcp://h:1?ca=a.pem&cert=c.pem&key=k.pem&server-name=worker&jobs=8")
    assert trust == Trust("a.pem", "c.pem", "k.pem", "worker")
    assert (str(endpoint), jobs, endpoint.encrypted) == ("tcp://h:1", 8, True)
    assert not parse_endpoint("tcp://h:1?tls=off")[0].encrypted
    assert not parse_endpoint("unix:///s")[0].encrypted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.7:1234", "is not the address of a builder"),
        ("http://host", "is not the address of a builder"),
        ("tcp://host", "names no port; 1234 is usual"),
        ("docker+tcp://host", "names no port; 2376 is usual"),
        ("tcp://:1234", "names no host"),
        ("tcp://host:99999", "Port out of range"),
        ("unix://relative/path", "names no absolute path"),
        ("ssh://host?ca=x&colour=red", "there is no option 'colour' for ssh://"),
        ("tcp://host:1?tls=on", "the only meaning that tls can have is off"),
        ("tcp://host:1?jobs=none", "not a number of at least 1"),
        ("plan9/=tcp://h:1", "is not a platform"),
    ],
)
def test_addresses_that_can_not_be(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_builder(text)


@given(st.sampled_from(["", *(f"{scheme}://" for scheme in SCHEMES)]), st.text() | st.text("ab@:/?=&%[]#.-+ é1"))
def test_any_text_is_a_builder_or_a_value_error(start: str, text: str) -> None:
    for candidate in (f"{start}{text}", f"linux/amd64={start}{text}"):
        with contextlib.suppress(ValueError):
            node = parse_builder(candidate)
            assert parse_builder(builder_text(node)) == node


def test_one_builder_for_two_platforms_is_one_node() -> None:
    named = [parse_builder(f"{platform}=tcp://h:1?jobs=3") for platform in (AMD64, ARM64)]
    (node,) = merge([*named, parse_builder("linux/amd64=tcp://h:1?jobs=3")])
    assert (node.platforms, node.jobs) == ((AMD64, ARM64), 3)
    assert len(merge([*named, parse_builder("tcp://h:2")])) == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "ssh://me@host:2222",
            "ssh -T -o BatchMode=yes -o ConnectTimeout=10 -p 2222 -l me -- host buildctl dial-stdio",
        ),
        (
            "ssh://host/run/user/1000/b.sock",
            (
                "ssh -T -o BatchMode=yes -o ConnectTimeout=10 -- host "
                "buildctl --addr unix:///run/user/1000/b.sock dial-stdio"
            ),
        ),
        (
            "kube-pod://buildkitd-0?namespace=ci&context=prod&container=main",
            "kubectl --context=prod --namespace=ci exec --stdin --container=main buildkitd-0 -- buildctl dial-stdio",
        ),
        ("kube-pod://deployment/buildkitd", "kubectl exec --stdin deployment/buildkitd -- buildctl dial-stdio"),
        ("docker-container://box", "docker exec --interactive box buildctl dial-stdio"),
    ],
)
def test_programs_that_carry_a_connection(text: str, line: str) -> None:
    found = command(parse_endpoint(text)[0])
    assert found is not None
    assert " ".join(found) == line


def test_hosts_can_not_become_options_of_a_program() -> None:
    with pytest.raises(ValueError, match="can't begin with a dash"):
        parse_endpoint("kube-pod://--kubeconfig=evil")


# -- pkgtool.yml ------------------------------------------------------------------------------------------------


class OneFile:
    """A tree that has nothing but a pkgtool.yml."""

    def __init__(self, content: str) -> None:
        self._content = content.encode()

    def read(self, _path: str) -> bytes:
        return self._content


def test_engines_of_a_tree() -> None:
    content = """\
engines:
  - endpoint: tcp://10.0.0.7:1234
    name: arm
    platforms: [linux/arm64]
    ca: certs/ca.pem
    cert: certs/me.pem
    key: certs/me.key
    server-name: worker
    jobs: 4
  - endpoint: buildx://ours
"""
    settings, problems = read_settings(OneFile(content))  # type: ignore[arg-type]
    assert problems == []
    trust = Trust("certs/ca.pem", "certs/me.pem", "certs/me.key", "worker")
    assert settings.engines == (
        Node("arm", Endpoint("tcp", "10.0.0.7", 1234), (ARM64,), trust, 4),
        Node("ours", Endpoint("buildx", "ours")),
    )


def test_every_mistake_in_engines_has_its_place() -> None:
    content = """\
engines:
  - endpoint: ftp://host
  - endpoint: tcp://host:1
    platforms: [linux/amd64, "?"]
  - endpoint: unix:///a
    name: same
  - endpoint: unix:///b
    name: same
"""
    _, problems = read_settings(OneFile(content))  # type: ignore[arg-type]
    assert [(p.location.line, p.location.column) for p in problems if p.location] == [(2, 15), (4, 30), (7, 5)]
    assert problems[0].message.startswith("'ftp://host' is not the address of a builder")
    assert problems[2].message == "two engines are called 'same'"


# -- buildx -----------------------------------------------------------------------------------------------------


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes a builder as `docker buildx create` does."""
    monkeypatch.setenv("BUILDX_CONFIG", str(tmp_path))
    (tmp_path / "instances").mkdir()

    def write(driver: str, *nodes: dict[str, object]) -> None:
        document = {"Name": "ours", "Driver": driver, "Nodes": nodes, "Dynamic": False}
        (tmp_path / "instances" / "ours").write_text(json.dumps(document))

    return write


def test_all_nodes_of_a_buildx_builder(builder: Callable[..., None]) -> None:
    options = {"cacert": "/c/ca.pem", "cert": "/c/cert.pem", "key": "/c/key.pem", "servername": "w"}
    builder(
        "remote",
        {"Name": "ours0", "Endpoint": "tcp://10.0.0.7:1234", "DriverOpts": options, "Platforms": None},
        {
            "Name": "ours1",
            "Endpoint": "unix:///run/b.sock",
            "Platforms": [{"os": "linux", "architecture": "arm64"}],
        },
    )
    assert remote.expand([parse_builder("buildx://ours?jobs=5")]) == [
        Node(
            "ours/ours0",
            Endpoint("tcp", "10.0.0.7", 1234),
            (),
            Trust("/c/ca.pem", "/c/cert.pem", "/c/key.pem", "w"),
            5,
        ),
        Node("ours/ours1", Endpoint("unix", path="/run/b.sock"), (ARM64,), Trust(), 5),
    ]


@pytest.mark.parametrize(
    ("driver", "endpoint", "options", "line"),
    [
        ("docker-container", "default", {}, "docker exec --interactive buildx_buildkit_n buildctl dial-stdio"),
        (
            "docker-container",
            "ssh://far",
            {},
            "docker --host=ssh://far exec --interactive buildx_buildkit_n buildctl dial-stdio",
        ),
        (
            "docker-container",
            "staging",
            {},
            "docker --context=staging exec --interactive buildx_buildkit_n buildctl dial-stdio",
        ),
        (
            "kubernetes",
            "kubernetes:///ours?deployment=builders&kubeconfig=%2Fk",
            {"namespace": "ci"},
            "kubectl --kubeconfig=/k --namespace=ci exec --stdin deployment/builders -- buildctl dial-stdio",
        ),
    ],
)
def test_drivers_of_buildx(
    builder: Callable[..., None], driver: str, endpoint: str, options: dict[str, str], line: str
) -> None:
    builder(driver, {"Name": "n", "Endpoint": endpoint, "DriverOpts": options})
    (node,) = buildx.nodes(parse_builder("buildx://ours"))
    found = command(node.endpoint)
    assert found is not None
    assert " ".join(found) == line


def test_the_default_builder_is_docker_itself(builder: Callable[..., None]) -> None:
    builder("docker", {"Name": "default", "Endpoint": "staging"})
    (node,) = buildx.nodes(parse_builder("buildx://ours"))
    assert node.endpoint == Endpoint("docker-context", "staging")


def test_an_unknown_builder_is_said_with_those_there_are(builder: Callable[..., None]) -> None:
    builder("remote")
    with pytest.raises(EngineError, match="there is no buildx builder 'theirs'") as caught:
        remote.expand([parse_builder("buildx://theirs")])
    assert caught.value.hint == "there are: ours"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"Driver": "x", "Nodes": [{"Name": "n"}]}'])
def test_a_damaged_builder_is_an_engine_error(builder: Callable[..., None], tmp_path: Path, content: str) -> None:
    (tmp_path / "instances" / "ours").write_text(content)
    with pytest.raises(EngineError, match="the buildx builder 'ours'"):
        remote.expand([parse_builder("buildx://ours")])
