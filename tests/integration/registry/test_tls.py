"""TLS with an authority of one's own and client certificates, as `certs.d` has them, and passwords from htpasswd."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pkgtool.errors import ConfigError
from pkgtool.oci.registry.errors import TlsFailure, Unauthorized
from pkgtool.oci.registry.publish import Publication, publish
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from tests.support.registry import registries
from tests.support.registry.images import assert_whole, put_package
from tests.support.registry.memory import MemoryRepository

USER, PASSWORD = "builder", "correct horse battery"
HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS\n"


@dataclass(frozen=True)
class Secured:
    address: str
    authority: registries.Authority


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    directory = tmp_path_factory.mktemp("secured")
    authority = registries.authority(directory / "authority")
    passwords = directory / "htpasswd"
    passwords.write_text(HTPASSWD)
    tls = (*authority.server, authority.ca)
    with registries.docker_registry(directory / "registry", tls=tls, htpasswd=passwords) as address:
        yield Secured(address, authority)


@pytest.fixture
def place(secured: Secured, tmp_path: Path) -> Path:
    path = tmp_path / "certs.d" / secured.address
    path.mkdir(parents=True)
    return path


@pytest.fixture
def trusting(settings: RegistrySettings, place: Path) -> RegistrySettings:
    return replace(settings, certificates=(place.parent,))


def test_everything_in_place(
    secured: Secured, place: Path, trusting: RegistrySettings, log_in: Callable[..., None]
) -> None:
    shutil.copy(secured.authority.ca, place / "ca.crt")
    shutil.copy(secured.authority.client[0], place / "client.cert")
    shutil.copy(secured.authority.client[1], place / "client.key")
    log_in(secured.address, USER, PASSWORD)
    store = MemoryRepository()
    _, images = put_package(store)
    with Registry(secured.address, trusting) as registry:
        registry.check()
        repository = registry.repository("linuxkit/a")
        done = publish(store, repository, Publication("v1", images))
        assert assert_whole(repository, "v1").digest == done.index.digest


def test_the_authority_is_missing(secured: Secured, settings: RegistrySettings) -> None:
    with Registry(secured.address, settings) as registry, pytest.raises(TlsFailure, match="not trusted") as caught:
        registry.check()
    assert f"/etc/docker/certs.d/{secured.address}/ca.crt" in str(caught.value.hint)


def test_the_client_certificate_is_missing(secured: Secured, place: Path, trusting: RegistrySettings) -> None:
    shutil.copy(secured.authority.ca, place / "ca.crt")
    with Registry(secured.address, trusting) as registry, pytest.raises(TlsFailure, match="refused our side") as caught:
        registry.check()
    assert "client.cert" in str(caught.value.hint)


def test_the_password_is_missing(secured: Secured, place: Path, trusting: RegistrySettings) -> None:
    shutil.copy(secured.authority.ca, place / "ca.crt")
    shutil.copy(secured.authority.client[0], place / "client.cert")
    shutil.copy(secured.authority.client[1], place / "client.key")
    with Registry(secured.address, trusting) as registry, pytest.raises(Unauthorized):
        registry.check()


def test_a_client_certificate_without_its_key(secured: Secured, place: Path, trusting: RegistrySettings) -> None:
    shutil.copy(secured.authority.client[0], place / "client.cert")
    with Registry(secured.address, trusting) as registry, pytest.raises(ConfigError, match="has no key"):
        registry.check()


def test_an_authority_that_is_none(secured: Secured, place: Path, trusting: RegistrySettings) -> None:
    (place / "ca.crt").write_text("not a certificate")
    with Registry(secured.address, trusting) as registry, pytest.raises(ConfigError, match="not a usable certificate"):
        registry.check()
