from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.errors import ConfigError
from pkgtool.oci.registry.address import Address, is_loopback
from pkgtool.oci.registry.challenge import Challenge, parse
from pkgtool.oci.registry.failures import looks_like_a_page, retry_after


@pytest.mark.parametrize(
    ("text", "host", "prefix"),
    [
        ("localhost:5000", "localhost:5000", ""),
        ("registry.example.com/team/images/", "registry.example.com", "team/images"),
        ("[::1]:5000", "[::1]:5000", ""),
        ("index.docker.io", "docker.io", ""),
    ],
)
def test_addresses(text: str, host: str, prefix: str) -> None:
    assert Address.parse(text) == Address(host, prefix)


@pytest.mark.parametrize(
    "text", ["", "http://localhost", "https://x", "a b", "host/UPPER", "host:99x", "user:pw@host", "/team"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError):
        Address.parse(text)


def test_repositories_below_a_prefix_and_on_docker_hub() -> None:
    assert Address.parse("h:1/team").repository("linuxkit/getty") == "team/linuxkit/getty"
    assert Address.parse("docker.io").repository("debian") == "library/debian"
    assert Address.parse("docker.io").repository("linuxkit/getty") == "linuxkit/getty"
    assert Address.parse("docker.io").api_host == "registry-1.docker.io"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:1", "[::1]:5000", "x.localhost"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost.example.com", "10.0.0.1", "128.0.0.1:5000", "[::2]", "registry", "127.evil.com"]
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic", [Challenge("basic")]),
        ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://a/t?x=1,2",service="s, x" ,scope="repository:a:pull,push"',
            [Challenge("bearer", {"realm": "https://a/t?x=1,2", "service": "s, x", "scope": "repository:a:pull,push"})],
        ),
        (
            'Negotiate, Basic realm=x, BEARER Realm="y"',
            [Challenge("negotiate"), Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "y"})],
        ),
        (r'Bearer realm="a\"b"', [Challenge("bearer", {"realm": 'a"b'})]),
        ("", []),
        ("=", []),
    ],
)
def test_challenges(header: str, expected: list[Challenge]) -> None:
    assert parse(header) == expected


@given(st.text(max_size=200))
def test_any_challenge_is_parsed_without_failing(header: str) -> None:
    parse(header)


def test_retry_after_in_both_forms() -> None:
    assert retry_after({"retry-after": "17"}) == 17
    assert retry_after({"retry-after": "Thu, 01 Jan 2015 00:00:00 GMT"}) == 0
    assert retry_after({"retry-after": "Thu, 01 Jan 2999 00:00:00 GMT"}) > 1e9
    assert retry_after({"retry-after": "soon"}) == 0
    assert retry_after({}) == 0


def test_pages() -> None:
    assert looks_like_a_page({"content-type": "text/html"}, b"")
    assert looks_like_a_page({}, b"\n <!DOCTYPE html>")
    assert not looks_like_a_page({"content-type": "text/html"}, b'{"errors":[]}')
    assert not looks_like_a_page({"content-type": "application/json"}, b"{}")
