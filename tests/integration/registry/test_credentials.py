"""Who we are: basic, tokens in all their forms, helpers; and that no secret ever shows."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.errors import ConfigError, PkgtoolError, RegistryError
from pkgtool.events import Event
from pkgtool.oci.registry.errors import Forbidden, NotARegistry, Unauthorized
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from tests.support.registry import server
from tests.support.registry.images import put_package
from tests.support.registry.server import Modes, serving, storage, upload_storage

USER, PASSWORD = "builder", "pa:ss wörd-SECRET-7f3a"


def test_without_credentials_the_error_says_how_to_log_in(settings: RegistrySettings) -> None:
    with serving(Modes(basic=(USER, PASSWORD))) as state, Registry(state.address, settings) as registry:
        with pytest.raises(Unauthorized) as caught:
            registry.repository("a").resolve("v1")
        assert caught.value.hint == f"docker login {state.address}"
        assert state.count() == {"HEAD": 1}, "not retried"


def test_wrong_credentials_are_told_from_missing_ones(settings: RegistrySettings, log_in: Callable[..., None]) -> None:
    with serving(Modes(basic=(USER, PASSWORD))) as state, Registry(state.address, settings) as registry:
        log_in(state.address, USER, "wrong")
        with pytest.raises(Unauthorized, match="refused"):
            registry.repository("a").resolve("v1")


@pytest.mark.parametrize("form", ["get", "post"])
def test_tokens(settings: RegistrySettings, log_in: Callable[..., None], form: str) -> None:
    modes = Modes(bearer=(USER, PASSWORD), token_form=form)
    with serving(modes) as state, Registry(state.address, settings) as registry:
        log_in(state.address, USER, PASSWORD)
        put_package(registry.repository("team/a"), tag="v1")
        tokens = [seen for seen in state.seen if seen.path.startswith("/token")]
        per_scope = 2 if form == "post" else 1  # the form that is not offered is tried first
        assert len(tokens) == 2 * per_scope, "one token for pulling, one for pushing, used for everything after"
        assert all("service=test%2C+registry" in seen.path for seen in tokens if seen.method == "GET")
        state.forget()
        assert registry.repository("team/a").resolve("v1")
        assert state.count() == {"HEAD": 1}


def test_identity_tokens_use_oauth(settings: RegistrySettings, log_in: Callable[..., None]) -> None:
    modes = Modes(bearer=(USER, "REFRESH"), token_form="identity")
    with serving(modes) as state, Registry(state.address, settings) as registry:
        log_in(state.address, "unused", "REFRESH", identity=True)
        put_package(registry.repository("a"), tag="v1")
        assert {seen.method for seen in state.seen if seen.path.startswith("/token")} == {"POST"}


def test_anonymous_tokens(settings: RegistrySettings) -> None:
    modes = Modes(bearer=(USER, PASSWORD), anonymous_pull=True)
    with serving(modes) as state, Registry(state.address, settings) as registry:
        assert registry.repository("a").resolve("v1") is None
        with pytest.raises(Unauthorized):
            registry.repository("a").write_blob(b"x", "text/plain")


def test_an_expired_token_is_renewed(settings: RegistrySettings, log_in: Callable[..., None]) -> None:
    with serving(Modes(bearer=(USER, PASSWORD))) as state, Registry(state.address, settings) as registry:
        log_in(state.address, USER, PASSWORD)
        assert registry.repository("a").resolve("v1") is None
        state.tokens.clear()
        state.forget()
        assert registry.repository("a").resolve("v1") is None
        assert state.count() == {"HEAD": 2, "GET": 1}


def test_mounting_asks_for_both_repositories(settings: RegistrySettings, log_in: Callable[..., None]) -> None:
    with serving(Modes(bearer=(USER, PASSWORD))) as state, Registry(state.address, settings) as registry:
        log_in(state.address, USER, PASSWORD)
        first, second = registry.repository("a"), registry.repository("b")
        blob = first.write_blob(b"x" * 1000, "text/plain")
        state.forget()
        assert second.take_blob(blob, first) == 0
        assert state.received == 0
        asked = [seen.path for seen in state.seen if "scope=" in seen.path]
        assert any("repository%3Aa%3Apull" in path and "repository%3Ab%3Apull%2Cpush" in path for path in asked)


def test_a_token_server_without_tls_gets_no_password(settings: RegistrySettings, log_in: Callable[..., None]) -> None:
    def elsewhere(handler: server.Handler, method: str, path: str) -> bool:
        handler.error(401, "UNAUTHORIZED", WWW_Authenticate='Bearer realm="http://tokens.example/",service="x"')
        return True

    with serving() as state, Registry(state.address, settings) as registry:
        log_in(state.address, USER, PASSWORD)
        state.interfere = elsewhere
        with pytest.raises(NotARegistry, match="can't be trusted"):
            registry.repository("a").resolve("v1")


def test_redirects_do_not_carry_the_authorization(settings: RegistrySettings, log_in: Callable[..., None]) -> None:
    with serving(Modes(bearer=(USER, PASSWORD))) as state, storage(state) as elsewhere:
        state.modes.redirect_blobs_to = f"http://{elsewhere.address}"
        log_in(state.address, USER, PASSWORD)
        with Registry(state.address, settings) as registry:
            blob = registry.repository("a").write_blob(b"x" * 5000, "text/plain")
            assert registry.repository("a").read_blob(blob) == b"x" * 5000
        assert len(elsewhere.seen) == 1
        assert "authorization" not in elsewhere.seen[0].headers


@pytest.mark.parametrize(
    "login", [Modes(basic=(USER, PASSWORD)), Modes(bearer=(USER, PASSWORD))], ids=["basic", "token"]
)
@pytest.mark.parametrize("chunk", [100_000, 1_000], ids=["whole", "in parts"])
def test_an_upload_that_is_sent_elsewhere_does_not_carry_the_authorization(
    settings: RegistrySettings, log_in: Callable[..., None], login: Modes, chunk: int
) -> None:
    """The URL of an upload may lead to a storage host: it is the permission, and all that this host may learn."""
    with serving(replace(login)) as state, upload_storage(state) as elsewhere:
        log_in(state.address, USER, PASSWORD)
        with Registry(state.address, replace(settings, chunk=chunk)) as registry:
            blob = registry.repository("a").write_blob(b"x" * 5000, "text/plain")
            assert registry.repository("a").read_blob(blob) == b"x" * 5000
        assert elsewhere.received == 5000
        assert state.received == 0
        assert [seen for seen in state.seen if "authorization" in seen.headers], "the registry itself was told"
        assert not [seen for seen in elsewhere.seen if "authorization" in seen.headers]
        assert PASSWORD not in str(elsewhere.seen)


def test_a_storage_host_that_asks_who_we_are_is_not_told(
    settings: RegistrySettings, log_in: Callable[..., None]
) -> None:
    def curious(handler: server.Handler, method: str, path: str) -> bool:
        handler.body()
        handler.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="elsewhere"')
        return True

    with serving(Modes(basic=(USER, PASSWORD))) as state, upload_storage(state) as elsewhere:
        log_in(state.address, USER, PASSWORD)
        elsewhere.interfere = curious
        with Registry(state.address, settings) as registry, pytest.raises(RegistryError):
            registry.repository("a").write_blob(b"x" * 5000, "text/plain")
        assert elsewhere.seen
        assert not [seen for seen in elsewhere.seen if "authorization" in seen.headers]


def test_an_upload_follows_no_redirect(settings: RegistrySettings, log_in: Callable[..., None]) -> None:
    """What has a body is sent to the place that was agreed upon, and to no other one that an answer names."""
    with serving(Modes(basic=(USER, PASSWORD))) as state, serving() as elsewhere:
        log_in(state.address, USER, PASSWORD)

        def redirect(handler: server.Handler, method: str, path: str) -> bool:
            if method == "PUT":
                handler.body()
                handler.answer(307, Location=f"http://{elsewhere.address}{path}")
            return method == "PUT"

        state.interfere = redirect
        with Registry(state.address, settings) as registry, pytest.raises(RegistryError):
            registry.repository("a").write_blob(b"x" * 5000, "text/plain")
        assert not elsewhere.seen


def test_a_redirect_in_circles_ends(settings: RegistrySettings) -> None:
    def circle(handler: server.Handler, method: str, path: str) -> bool:
        handler.answer(307, Location=path)
        return True

    with serving() as state, Registry(state.address, settings) as registry:
        state.interfere = circle
        with pytest.raises(NotARegistry, match="redirect"):
            registry.repository("a").resolve("v1")


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Install a credential helper with the given shell script."""

    def install(script: str) -> None:
        programs = tmp_path / "programs"
        programs.mkdir(exist_ok=True)
        program = programs / "docker-credential-test"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        (tmp_path / "docker").mkdir(exist_ok=True)
        (tmp_path / "docker" / "config.json").write_text(json.dumps({"credsStore": "test"}))

    return install


def test_a_credential_helper(settings: RegistrySettings, helper: Callable[[str], None]) -> None:
    with serving(Modes(basic=(USER, "from-helper"))) as state, Registry(state.address, settings) as registry:
        answer = json.dumps({"Username": USER, "Secret": "from-helper"})
        helper(f"""[ "$1" = get ] && [ "$(cat)" = "{state.address}" ] && echo '{answer}'""")
        assert registry.repository("a").resolve("v1") is None


def test_a_helper_that_knows_nothing(settings: RegistrySettings, helper: Callable[[str], None]) -> None:
    with serving(Modes(basic=(USER, PASSWORD))) as state, Registry(state.address, settings) as registry:
        helper("echo 'credentials not found in native keychain'; exit 1")
        with pytest.raises(Unauthorized, match="wants credentials"):
            registry.repository("a").resolve("v1")


@pytest.mark.parametrize("script", ["echo SECRET-OUTPUT; exit 3", "echo SECRET-OUTPUT"])
def test_a_helper_that_fails_is_named_and_its_output_is_not(
    settings: RegistrySettings, helper: Callable[[str], None], script: str
) -> None:
    with serving(Modes(basic=(USER, PASSWORD))) as state, Registry(state.address, settings) as registry:
        helper(script)
        with pytest.raises(RegistryError, match="docker-credential-test") as caught:
            registry.repository("a").resolve("v1")
        assert "SECRET-OUTPUT" not in _everything(caught.value)


def test_a_broken_configuration_is_an_error(settings: RegistrySettings, tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text('{"auths": {"x": {"auth": "SECRET" oops')
    with serving(Modes(basic=(USER, PASSWORD))) as state, Registry(state.address, settings) as registry:
        with pytest.raises(ConfigError, match="not valid JSON") as caught:
            registry.repository("a").resolve("v1")
        assert "SECRET" not in _everything(caught.value)


def test_an_undecodable_entry_is_an_error(settings: RegistrySettings, tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    with serving(Modes(basic=(USER, PASSWORD))) as state, Registry(state.address, settings) as registry:
        entry = {"auths": {state.address: {"auth": "SECRET-%%%"}}}
        (tmp_path / "docker" / "config.json").write_text(json.dumps(entry))
        with pytest.raises(ConfigError, match="can't be read") as caught:
            registry.repository("a").resolve("v1")
        assert "SECRET" not in _everything(caught.value)


# -- nothing shows a secret -------------------------------------------------------------------------------


def _everything(problem: BaseException) -> str:
    """All that an exception and everything that hangs on it could print, as deep as it goes."""
    texts: list[str] = []
    seen: set[int] = set()

    def walk(value: object, depth: int) -> None:
        if id(value) in seen or depth > 8:
            return
        seen.add(id(value))
        texts.append(repr(value))
        if isinstance(value, BaseException):
            texts.extend(traceback.format_exception(value))
            for inner in (value.__cause__, value.__context__, *value.args, *vars(value).values()):
                walk(inner, depth + 1)
        elif isinstance(value, dict):
            for pair in value.items():
                walk(pair, depth + 1)
        elif isinstance(value, list | tuple | set | frozenset):
            for inner in value:
                walk(inner, depth + 1)
        elif not isinstance(value, str | bytes | int | float | type(None)) and hasattr(value, "__dict__"):
            walk(dict(vars(value)), depth + 1)

    walk(problem, 0)
    return "\n".join(texts)


def _wrong_digest(handler: server.Handler, method: str, path: str) -> bool:
    if "/manifests/" not in path or not handler.headers.get("Authorization"):
        return False
    handler.answer(200, b"{}", Docker_Content_Digest="sha256:" + "0" * 64, Content_Type="text/html")
    return True


def _forbid(handler: server.Handler, method: str, path: str) -> bool:
    if path == "/token" or not handler.headers.get("Authorization"):
        return False
    handler.body()
    handler.error(403, "DENIED")
    return True


def _break(handler: server.Handler, method: str, path: str) -> bool:
    if path == "/token" or not handler.headers.get("Authorization"):
        return False
    handler.close_connection = True
    handler.connection.close()
    return True


@pytest.fixture
def logs() -> Iterator[list[str]]:
    """Everything that any library logs at any level."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage() + repr(record.args))

    handler = Keep(logging.DEBUG)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.mark.parametrize(
    "modes", [Modes(basic=(USER, PASSWORD)), Modes(bearer=(USER, PASSWORD))], ids=["basic", "token"]
)
@pytest.mark.parametrize("interfere", [None, _wrong_digest, _forbid, _break])
def test_no_secret_shows_anywhere(
    modes: Modes,
    interfere: server.Interference | None,
    settings: RegistrySettings,
    log_in: Callable[..., None],
    logs: list[str],
) -> None:
    import base64

    said: list[str] = [repr(settings)]
    problems: list[PkgtoolError] = []

    def sink(event: Event) -> None:
        said.append(repr(event))

    with serving(replace(modes)) as state:
        log_in(state.address, USER, PASSWORD)
        with Registry(state.address, settings, sink=sink) as registry:
            repository = registry.repository("a")
            registry.check()
            state.interfere = interfere
            for attempt in (
                lambda: repository.resolve("v1"),
                lambda: repository.get_manifest("v1"),
                lambda: repository.write_blob(b"content", "text/plain"),
                repository.tags,
            ):
                try:
                    attempt()
                except PkgtoolError as problem:
                    problems.append(problem)
            said.append(repr(registry) + repr(repository))
        secrets = [PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(), *state.tokens]
    said.extend(_everything(problem) for problem in problems)
    assert bool(problems) == bool(interfere)
    assert logs, "the libraries do log at this level"
    everything = "\n".join((*said, *logs))
    for secret in secrets:
        assert secret not in everything


def test_forbidden_is_not_unauthorized(settings: RegistrySettings, log_in: Callable[..., None]) -> None:
    with serving(Modes(basic=(USER, PASSWORD))) as state, Registry(state.address, settings) as registry:
        log_in(state.address, USER, PASSWORD)
        state.interfere = _forbid
        with pytest.raises(Forbidden):
            registry.repository("a").write_blob(b"x", "text/plain")


def test_an_address_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigError) as caught:
        Registry(f"{USER}:{PASSWORD}@registry.example")
    assert PASSWORD not in _everything(caught.value)
