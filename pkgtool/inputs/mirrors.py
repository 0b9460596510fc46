"""Where URLs really lead: prefixes and their replacements, for closed networks and near mirrors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pkgtool.errors import UsageError

VARIABLE = "PKGTOOL_MIRRORS"


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Rules (prefix, replacement) in order of precedence.

    The longest prefix that matches decides. Several rules with that prefix give several places, in their order;
    a rule whose replacement equals its prefix keeps the original among them. Without a rule a URL stays as it is.
    """

    rules: tuple[tuple[str, str], ...] = ()

    def places(self, url: str) -> tuple[str, ...]:
        """The URLs to try instead of `url`; a git URL (`git+https:…`) goes by the rules of what is behind its mark."""
        if url.startswith("git+"):
            return tuple(f"git+{place}" for place in self.places(url.removeprefix("git+")))
        matching = [rule for rule in self.rules if url.startswith(rule[0])]
        if not matching:
            return (url,)
        longest = max(len(prefix) for prefix, _ in matching)
        found = [new + url[len(prefix) :] for prefix, new in matching if len(prefix) == longest]
        return tuple(dict.fromkeys(found))

    def all_places(self, urls: Iterable[str]) -> tuple[str, ...]:
        """The places of several URLs, each once, in order."""
        return tuple(dict.fromkeys(place for url in urls for place in self.places(url)))


def mirrors(settings: Iterable[tuple[str, str]], variable: str = "") -> Mirrors:
    """The rules of pkgtool.yml, with those of PKGTOOL_MIRRORS (`PREFIX=REPLACEMENT …`) before them.

    Raises `UsageError` for a variable that is not of this form.
    """
    rules = []
    for word in variable.split():
        prefix, equals, replacement = word.partition("=")
        if not (prefix and equals and replacement):
            raise UsageError(
                f"{VARIABLE} holds a word without prefix, = and replacement",
                hint=f"for example {VARIABLE}='http://deb.debian.org/debian=http://mirror.example/debian'",
            )
        rules.append((prefix, replacement))
    own = {prefix for prefix, _ in rules}
    return Mirrors((*rules, *(rule for rule in settings if rule[0] not in own)))
