"""Commits of git repositories: looked up when a lock is written, offered to be fetched.

A place is `git+URL#COMMIT`, which `pkgtool.inputs.git_transport` knows how to read.
"""

from __future__ import annotations

import re
from pathlib import Path

from pkgtool import process
from pkgtool.errors import InputError
from pkgtool.inputs.artifact import Artifact, shown_url
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.git_transport import COMMIT, ENVIRONMENT, is_bundle
from pkgtool.inputs.lock import LockedGit
from pkgtool.model import GitInput

_SCP_LIKE = re.compile(r"(?P<host>[^/:]+):(?P<path>(?!//).+)\Z")


def lock_git(package: str, request: GitInput, previous: LockedGit | None, fetcher: Fetcher) -> LockedGit:
    """Pin the commit that a ref names now; `previous` is kept if it answers the same request.

    Raises `InputError` if the repository or the ref can't be found.
    """
    if previous and previous.request == request:
        return previous
    url = standard_url(request.url)
    commit = _resolve(request, url, fetcher)
    if previous and previous.commit == commit:
        return LockedGit(request, commit, previous.content, previous.date)
    content = fetcher.learn(f"{request.name} at {commit[:12]}", [f"git+{url}#{commit}"], step=f"lock {package}")
    from pkgtool.inputs.archive_date import newest_member

    return LockedGit(request, commit, content, newest_member(fetcher.store.input_path(content.digest)))


def git_artifact(package: str, locked: LockedGit) -> Artifact:
    """A locked commit as something to fetch."""
    request = locked.request
    label = f"{request.name} at {locked.commit[:12]}"
    return Artifact(package, request.name, label, locked.content, (f"git+{standard_url(request.url)}#{locked.commit}",))


def standard_url(url: str) -> str:
    """A URL with a scheme for what git also takes: paths, and ssh's short form `git@host:path`."""
    if "://" in url:
        return url
    found = _SCP_LIKE.match(url)
    if found and not url.startswith(("/", ".")):
        return f"ssh://{found['host']}/{found['path'].lstrip('/')}"
    return Path(url).absolute().as_uri()


def _resolve(request: GitInput, url: str, fetcher: Fetcher) -> str:
    if COMMIT.match(request.ref):
        return request.ref
    problems = []
    for place in fetcher.mirrors.places(url):
        look_up = _commit_in_bundle if is_bundle(place) else _commit_at_remote
        try:
            commit = look_up(place, request.ref, fetcher)
        except (process.ProcessFailed, InputError) as error:
            problems += [f"{shown_url(place)}: {line}" for line in (error.details or (error.message,))]
            continue
        if commit:
            return commit
        problems.append(f"{shown_url(place)}: has no branch or tag {request.ref}")
    raise InputError(
        f"{request.name}: the git ref {request.ref} can't be looked up",
        details=problems,
        hint="name a tag, a branch or a full commit id in build.yml",
    )


def _commit_at_remote(url: str, ref: str, fetcher: Fetcher) -> str:
    """The commit of a tag (before a branch of the same name), or of a full ref; empty if there is none."""
    listed = process.run(
        ["git", "ls-remote", "--", url, ref, f"{ref}^{{}}"],
        why="look up commits",
        env=ENVIRONMENT,
        cancel=fetcher.cancel,
    )
    found: dict[str, str] = {name: commit for commit, name in map(str.split, listed.text.splitlines())}
    names = (f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}", f"{ref}^{{}}", ref)
    return next((found[name] for name in names if name in found), "")


def _commit_in_bundle(url: str, ref: str, fetcher: Fetcher) -> str:
    """The same for a bundle, whose listing does not say what a tag points to."""
    content = fetcher.learn("the git bundle", [url])
    with fetcher.store.scratch("git") as scratch:

        def git(*arguments: str, accept: tuple[int, ...] = (0,)) -> str:
            command = ["git", "--git-dir", str(scratch), *arguments]
            run = process.run(command, why="look up commits", env=ENVIRONMENT, accept=accept, cancel=fetcher.cancel)
            return run.text

        git("init", "--quiet", "--bare", str(scratch))
        git("fetch", "--quiet", "--", str(fetcher.store.input_path(content.digest)), "+refs/*:refs/*")
        return git("rev-parse", "--quiet", "--verify", f"{ref}^{{commit}}", accept=(0, 1))
