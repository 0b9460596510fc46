"""The tree's own packages, pushed by the command to real registries and read from there by everybody's clients.

Debian's docker-registry, plain, and with TLS and passwords; and go-containerregistry's, which has the referrers API.
Docker's engines: Debian's 20.10, and sid's 28 with the containerd image store. With TLS they see the registry under an
address that is not loopback, which Docker trusts without asking: so they check its certificate.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Built
from tests.support import sid_tools
from tests.support.docker_engines import DockerEngine
from tests.support.registry import registries
from tests.support.registry.bridge import reaching

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("docker")]
PACKAGES = ("base", "getty", "sshd", "vsudd", "vpnkit-forwarder")
TOOLS = ("go-compile", "kernel-build")
"""What packages and kernels are built with: published for the machine that builds."""
ARCHES = ("amd64", "arm64")
NOT_LOOPBACK = "10.254.254.1"
USER, PASSWORD = "builder", "correct horse battery"
# What `htpasswd -B` makes of them.
HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS\n"


@dataclass(frozen=True)
class Place:
    """A registry; `plain` says whether it is without TLS. `authority` and `login` are what its clients need."""

    kind: str
    address: str
    authority: Path | None = None

    @property
    def plain(self) -> bool:
        return self.authority is None

    def prepare(self, home: Path) -> None:
        """Let clients that look in `home` trust it and log in."""
        if self.authority is None:
            return
        place = home / ".config/containers/certs.d" / self.address
        place.mkdir(parents=True)
        shutil.copy(self.authority, place / "ca.crt")
        entry = {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
        (home / ".docker").mkdir()
        logins = {self.address: entry, self.seen_by_engines: entry}
        (home / ".docker/config.json").write_text(json.dumps({"auths": logins}))

    @property
    def seen_by_engines(self) -> str:
        """The address that an engine finds it at."""
        return self.address if self.plain else self.address.replace("127.0.0.1", NOT_LOOPBACK)


@pytest.fixture(params=["plain", "tls", "referrers"])
def place(request: pytest.FixtureRequest, tmp_path: Path, isolated: Path) -> Iterator[Place]:
    if request.param == "plain":
        with registries.docker_registry(tmp_path / "registry") as address:
            yield Place("plain", address)
    elif request.param == "tls":
        authority = registries.authority(tmp_path / "authority", NOT_LOOPBACK)
        passwords = tmp_path / "htpasswd"
        passwords.write_text(HTPASSWD)
        with registries.docker_registry(
            tmp_path / "registry", tls=(*authority.server, None), htpasswd=passwords
        ) as address:
            found = Place("tls", address, authority.ca)
            found.prepare(isolated)
            yield found
    else:
        with registries.referrers_registry() as address:
            yield Place("referrers", address)


def run(*command: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def test_everybody_reads_what_is_pushed(
    place: Place, built: Built, docker_old: DockerEngine, docker_new: DockerEngine, tmp_path: Path
) -> None:
    for package in PACKAGES:
        for arch in ARCHES:
            built.image(package, arch)
    pushed = _push(place, built, PACKAGES, ARCHES)
    for package in TOOLS:
        built.image(package)
    for step in pushed:
        _read(place, f"{place.address}/{step['reference']}", step["index"], step["platforms"], tmp_path)
    for step in _push(place, built, TOOLS, ARCHES[:1]):
        _read(place, f"{place.address}/{step['reference']}", step["index"], step["platforms"], tmp_path)
    names = {step["package"]: f"{place.seen_by_engines}/{step['reference']}" for step in pushed}
    for engine in (docker_old, docker_new):
        there = place.seen_by_engines.partition(":")[0]
        with reaching(place.address, engine.process.pid, tmp_path, there=there) as seen:
            assert seen == place.seen_by_engines
            if place.authority:
                _check_certificate(engine, names["getty"])
                engine.trust(seen, place.authority)
            _run_everywhere(engine, names)


def _push(place: Place, built: Built, packages: tuple[str, ...], arches: tuple[str, ...]) -> list[dict[str, Any]]:
    """Push, and once more, which must do nothing; what the first push did."""
    push = ("push", "--registry", place.address, "--allow-dirty", "--no-build", "--progress", "plain", "--json")
    platforms = ("--platform", ",".join(f"linux/{arch}" for arch in arches))
    pushed: list[dict[str, Any]] = built.pkgtool.run(*push, *platforms, *packages, timeout=600).ok().json["steps"]
    assert {step["package"]: step["result"] for step in pushed} == dict.fromkeys(packages, "pushed")
    again = built.pkgtool.run(*push, *platforms, *packages).ok().json["steps"]
    assert {step["result"] for step in again} == {"unchanged"}
    return pushed


def _check_certificate(engine: DockerEngine, name: str) -> None:
    """Before it knows the authority, the engine refuses the registry: so it did look."""
    refused = subprocess.run(
        ["docker", "--host", engine.host, "pull", "--quiet", name], capture_output=True, text=True, timeout=120
    )
    assert refused.returncode != 0
    assert "x509" in refused.stderr


def _read(place: Place, name: str, index: str, platforms: dict[str, str], directory: Path) -> None:
    """The index and both images, by crane, skopeo and oras."""
    crane, oras = sid_tools.program("crane"), sid_tools.program("oras")
    skopeo = registries.require("skopeo", "skopeo")
    trust = ["--insecure"] if place.authority else []
    manifest = json.loads(run(crane, "manifest", *trust, name))
    found = {f"{m['platform']['os']}/{m['platform']['architecture']}": m["digest"] for m in manifest["manifests"]}
    assert found == platforms
    assert run(crane, "digest", *trust, name).strip() == index
    how = ["--plain-http"] if place.plain else ["--ca-file", str(place.authority)]
    assert json.loads(run(oras, "manifest", "fetch", *how, name)) == manifest
    login = [] if place.plain else ["--creds", f"{USER}:{PASSWORD}"]
    verify = ["--tls-verify=false"] if place.plain else ["--tls-verify=true"]
    for arch in (platform.partition("/")[2] for platform in platforms):
        command = [skopeo, "inspect", *verify, *login, f"--override-arch={arch}", f"docker://{name}"]
        inspected = json.loads(run(*command))
        assert inspected["Architecture"] == arch
        single = run(crane, "digest", *trust, f"{name}-{arch}").strip()
        assert single == found[f"linux/{arch}"]


def _run_everywhere(engine: DockerEngine, names: dict[str, str]) -> None:
    """Docker pulls both platforms by the package's tag and runs them; arm64 is emulated."""
    for arch in ARCHES:
        for package in ("base", "getty", "vsudd"):
            engine.docker("pull", "--quiet", "--platform", f"linux/{arch}", names[package])
        container = ("run", "--rm", "--network", "none", "--platform", f"linux/{arch}")
        assert engine.docker(*container, names["base"], "dpkg", "--print-architecture").strip() == arch
        said = engine.docker(*container, "--entrypoint", "cat", names["getty"], "/etc/securetty")
        assert "ttyS0" in said
        # The other platform's is not there: it was removed, or is still to come.
        held = json.loads(engine.docker("image", "inspect", names["vsudd"]))[0]
        assert held["Architecture"] == arch
        engine.docker("image", "rm", "--force", *(names[package] for package in ("base", "getty", "vsudd")))
