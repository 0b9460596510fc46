"""The tree's own packages, pushed by the command to real registries and read from there by everybody's clients.

Debian's docker-registry, plain, and with TLS and passwords; and go-containerregistry's, which has the referrers API.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import Built
from tests.support import sid_tools
from tests.support.docker_engines import DockerEngine
from tests.support.registry import registries
from tests.support.registry.bridge import reaching

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("docker")]
PACKAGES = ("base", "getty", "sshd", "vsudd", "vpnkit-forwarder")
ARCHES = ("amd64", "arm64")
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
        (home / ".docker/config.json").write_text(json.dumps({"auths": {self.address: entry}}))


@pytest.fixture(params=["plain", "tls", "referrers"])
def place(request: pytest.FixtureRequest, tmp_path: Path, isolated: Path) -> Iterator[Place]:
    if request.param == "plain":
        with registries.docker_registry(tmp_path / "registry") as address:
            yield Place("plain", address)
    elif request.param == "tls":
        authority = registries.authority(tmp_path / "authority")
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


def test_everybody_reads_what_is_pushed(place: Place, built: Built, docker_old: DockerEngine, tmp_path: Path) -> None:
    for package in PACKAGES:
        for arch in ARCHES:
            built.image(package, arch)
    push = ("push", "--registry", place.address, "--allow-dirty", "--no-build", "--progress", "plain", "--json")
    platforms = ("--platform", ",".join(f"linux/{arch}" for arch in ARCHES))
    pushed = built.pkgtool.run(*push, *platforms, *PACKAGES, timeout=600).ok().json["steps"]
    assert {step["package"]: step["result"] for step in pushed} == dict.fromkeys(PACKAGES, "pushed")
    again = built.pkgtool.run(*push, *platforms, *PACKAGES).ok().json["steps"]
    assert {step["result"] for step in again} == {"unchanged"}
    for step in pushed:
        _read(place, f"{place.address}/{step['reference']}", step["index"], step["platforms"], tmp_path)
    names = {step["package"]: f"{place.address}/{step['reference']}" for step in pushed}
    with reaching(place.address, docker_old.process.pid, tmp_path):
        _run_everywhere(docker_old, names)


def _read(place: Place, name: str, index: str, platforms: dict[str, str], directory: Path) -> None:
    """The index and both images, by crane, skopeo and oras."""
    crane, oras = sid_tools.program("crane"), sid_tools.program("oras")
    skopeo = registries.require("skopeo", "skopeo")
    trust = ["--insecure"] if place.authority else []
    manifest = json.loads(run(crane, "manifest", *trust, name))
    found = {f"{m['platform']['os']}/{m['platform']['architecture']}": m["digest"] for m in manifest["manifests"]}
    assert found == platforms
    assert set(found) == {f"linux/{arch}" for arch in ARCHES}
    assert run(crane, "digest", *trust, name).strip() == index
    how = ["--plain-http"] if place.plain else ["--ca-file", str(place.authority)]
    assert json.loads(run(oras, "manifest", "fetch", *how, name)) == manifest
    login = [] if place.plain else ["--creds", f"{USER}:{PASSWORD}"]
    verify = ["--tls-verify=false"] if place.plain else ["--tls-verify=true"]
    for arch in ARCHES:
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
            inspected = json.loads(engine.docker("image", "inspect", names[package]))[0]
            assert inspected["Architecture"] == arch
        container = ("run", "--rm", "--network", "none", "--platform", f"linux/{arch}")
        assert engine.docker(*container, names["base"], "dpkg", "--print-architecture").strip() == arch
        said = engine.docker(*container, "--entrypoint", "cat", names["getty"], "/etc/securetty")
        assert "ttyS0" in said
        engine.docker("image", "rm", "--force", *(names[package] for package in ("base", "getty", "vsudd")))
