"""What apt is told and asked, and what is left of its answer, without apt."""

from __future__ import annotations

from pkgtool.inputs.debian.closure import Held, needed, status_text, wanted, without_broken
from pkgtool.inputs.debian.control import stanzas
from pkgtool.inputs.lock import Content, Deb, DebianRequest
from pkgtool.values import Digest


def request(*packages: str, variant: str = "") -> DebianRequest:
    return DebianRequest((("debian", "trixie"),), ("main",), packages, variant, ("amd64",))


def held(name: str, *, own: bool = True, **fields: str) -> Held:
    deb = Deb(name, "amd64", "1", ("amd64",), "debian", f"pool/{name}.deb", Content(Digest.of(b""), 0))
    stanza = {"Package": name, "Version": "1", "Filename": "x", "Size": "0", "SHA256": "0", "Installed-Size": "7"}
    return Held(deb, {**stanza, **{key.replace("_", "-"): value for key, value in fields.items()}}, own)


def by_name(*entries: Held) -> dict[str, Held]:
    return {entry.deb.name: entry for entry in entries}


def test_a_status_file_says_installed_and_keeps_what_tells_versions_apart() -> None:
    first, second = stanzas(status_text([held("a"), held("b", Depends="a")]))
    assert first == {"Package": "a", "Status": "install ok installed", "Version": "1", "Installed-Size": "7"}
    assert second["Depends"] == "a"


def test_only_what_is_missing_or_moves_is_asked_for() -> None:
    there = by_name(held("a"), held("b"), held("c", own=False))
    assert wanted(request("a", "c", "new"), there, {"b"}, {"lost"}) == ["new", "lost", "b"]
    assert wanted(request("a"), there, (), ()) == []


def test_variants_ask_by_pattern() -> None:
    essential = "?and(?essential,?not(?installed))"
    required = "?and(?priority(required),?not(?installed))"
    assert wanted(request("a", variant="essential"), {}, (), ()) == [essential, "a"]
    assert wanted(request(variant="minbase"), {}, (), ()) == [essential, required, "apt"]
    assert wanted(request("a", variant="custom"), {}, (), ()) == ["a"]


def test_what_is_reached_stays() -> None:
    own = {
        name: held(name, **fields).stanza
        for name, fields in {
            "tool": {"Depends": "virtual, absent | second"},
            "provider": {"Provides": "virtual (= 1)", "Pre_Depends": "deep"},
            "second": {},
            "deep": {},
            "orphan": {},
            "base": {"Essential": "yes"},
            "newer-than-the-parents": {},
        }.items()
    }
    parents = {"newer-than-the-parents"}
    found = needed(request("tool"), own, parents)
    assert found == {"tool", "provider", "second", "deep", "newer-than-the-parents"}
    assert needed(request("tool", variant="essential"), own, parents) == {*found, "base"}


def test_what_misses_a_dependency_is_not_taken_for_installed() -> None:
    there = by_name(
        held("a", Depends="b"), held("b", Depends="gone"), held("c"), held("parent", own=False, Depends="gone")
    )
    assert without_broken(there).keys() == {"c", "parent"}
