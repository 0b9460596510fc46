"""Go modules: what go.sum names, from module proxies, checked by our own hash; no Go installation is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pkgtool.errors import ConfigError, InputError, PkgtoolError, raise_all
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.fetch import JOBS, Fetcher
from pkgtool.inputs.go_sum import Checksum, escaped, hash_mod, hash_zip, matches_prefix, parse_sums
from pkgtool.inputs.lock import Content, GoLock, GoModule
from pkgtool.values import Digest

DEFAULT_PROXY = "https://proxy.golang.org,direct"


@dataclass(frozen=True, slots=True)
class GoProxies:
    """Where modules come from: GOPROXY, and which modules GONOPROXY or GOPRIVATE take from their origin."""

    proxies: str = DEFAULT_PROXY
    private: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> GoProxies:
        private = environment.get("GONOPROXY") or environment.get("GOPRIVATE", "")
        return cls(environment.get("GOPROXY") or DEFAULT_PROXY, private)

    def urls(self, module: str, version: str, kind: str) -> tuple[str, ...]:
        """The places of a module's `zip` or `mod`, in order.

        Every proxy of the list is a place: a hash decides what is right, so `,` and `|` mean the same here. `off`
        ends the list; `direct` is the module's origin, through the go command.
        """
        direct = f"go+direct:{module}@{version}?{kind}"
        if matches_prefix(self.private, module):
            return (direct,)
        found = []
        for proxy in self.proxies.replace("|", ",").split(","):
            word = proxy.strip()
            if word == "off":
                break
            if word == "direct":
                found.append(direct)
            elif word:
                found.append(f"{word.rstrip('/')}/{escaped(module)}/@v/{escaped(version)}.{kind}")
        return tuple(found)


def lock_go(
    package: str,
    sums: Sequence[tuple[str, Digest]],
    previous: GoLock | None,
    directory: Path,
    proxies: GoProxies,
    fetcher: Fetcher,
) -> GoLock:
    """Pin the modules of the go.sum files in `directory`; what `previous` has is kept.

    Raises `InputError` if a module can't be had or is not what go.sum says, `ConfigError` for a wrong go.sum.
    """
    wanted = _checksums(sums, directory)
    known = {(m.module, m.version): m for m in previous.modules} if previous else {}
    with ThreadPoolExecutor(JOBS) as pool:
        found = list(pool.map(lambda item: _lock_module(package, item, known, proxies, fetcher), wanted.items()))
    raise_all(entry for entry in found if isinstance(entry, PkgtoolError))
    return GoLock(tuple(sums), tuple(entry for entry in found if isinstance(entry, GoModule)))


def go_artifacts(package: str, module: GoModule, proxies: GoProxies) -> tuple[Artifact, ...]:
    """A locked module as things to fetch."""

    def artifact(kind: str, content: Content) -> Artifact:
        urls = proxies.urls(module.module, module.version, kind)
        return Artifact(package, module.module, f"{module} ({kind})", content, urls)

    found = [artifact("mod", module.mod)]
    if module.zip:
        found.append(artifact("zip", module.zip))
    return tuple(found)


def _checksums(sums: Sequence[tuple[str, Digest]], directory: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Hashes by module version and kind. Two go.sum files may not contradict each other."""
    wanted: dict[tuple[str, str], dict[str, str]] = {}
    for path, _ in sums:
        for line in parse_sums((directory / path).read_bytes(), path):
            kinds = wanted.setdefault((line.module, line.version), {})
            if kinds.setdefault(_kind(line), line.hash) != line.hash:
                raise ConfigError(f"{path} has another hash for {line.module} {line.version} than the other go.sum")
    return dict(sorted(wanted.items()))


def _kind(line: Checksum) -> str:
    return "mod" if line.mod else "zip"


def _lock_module(
    package: str,
    item: tuple[tuple[str, str], dict[str, str]],
    known: Mapping[tuple[str, str], GoModule],
    proxies: GoProxies,
    fetcher: Fetcher,
) -> GoModule | PkgtoolError:
    (module, version), hashes = item
    before = known.get((module, version))
    if before and (before.zip is not None) == ("zip" in hashes):
        return before
    try:
        if "mod" not in hashes:
            raise ConfigError(f"go.sum has no hash for the go.mod of {module} {version}", hint="go mod tidy")
        found = {
            kind: _learn(package, f"{module}@{version} ({kind})", proxies.urls(module, version, kind), hashed, fetcher)
            for kind, hashed in hashes.items()
        }
    except PkgtoolError as error:
        return error
    return GoModule(module, version, found["mod"], found.get("zip"))


def _learn(package: str, label: str, urls: tuple[str, ...], expected: str, fetcher: Fetcher) -> Content:
    if not urls:
        raise InputError(f"{label}: GOPROXY names no place", hint=f"GOPROXY={DEFAULT_PROXY}")
    hasher = hash_zip if label.endswith("(zip)") else hash_mod

    def check(path: Path) -> str:
        try:
            found = hasher(path)
        except ValueError as error:
            return str(error)
        return "" if found == expected else f"wrong bytes: {found}, go.sum says {expected}"

    try:
        return fetcher.learn(label, urls, check=check, step=f"lock {package}")
    except InputError as error:
        error.hint = "check GOPROXY, and that go.sum is of this module ('go mod tidy')"
        raise
