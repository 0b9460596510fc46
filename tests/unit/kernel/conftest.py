from __future__ import annotations

import pytest

from pkgtool.kernel.identity import Identity, open_identity
from tests.support.kernel import KeyPair, openssl_key_pair


@pytest.fixture(scope="session")
def pair(tmp_path_factory) -> KeyPair:
    return openssl_key_pair(tmp_path_factory.mktemp("key"), "modules")


@pytest.fixture(scope="session")
def identity(pair: KeyPair) -> Identity:
    return open_identity(pair.certificate, pair.key, hash_name="sha256", passphrase=lambda: b"")
