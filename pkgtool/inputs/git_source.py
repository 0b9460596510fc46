"""Commits of git repositories: looked up when a lock is written, fetched as canonical tars.

A place is `git+URL#COMMIT`; the URL may be that of a bundle (`….bundle`, by http, https or file). Only the one
commit is asked for; servers that refuse that are asked for everything.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pkgtool import process, programs
from pkgtool.errors import InputError
from pkgtool.inputs.artifact import Artifact, shown_url
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.git_tree import parse_listing, write_tar
from pkgtool.inputs.lock import LockedGit
from pkgtool.inputs.transfer import Attempt, Temporary, Unusable
from pkgtool.model import GitInput

if TYPE_CHECKING:
    import git

_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_SCP_LIKE = re.compile(r"(?P<host>[^/:]+):(?P<path>(?!//).+)\Z")
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_CONFIG_COUNT": "1",
    # A bundle or directory of another user may be read: what it gives is checked by hash.
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "LC_ALL": "C.UTF-8",
}
_PERMANENT = re.compile(r"not found|does not exist|not a git repository|not appear to be a git|Authentication failed")


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
    if _COMMIT.match(request.ref):
        return request.ref
    problems = []
    for place in fetcher.mirrors.places(url):
        look_up = _commit_in_bundle if _is_bundle(place) else _commit_at_remote
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
        env=_ENVIRONMENT,
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
            run = process.run(command, why="look up commits", env=_ENVIRONMENT, accept=accept, cancel=fetcher.cancel)
            return run.text

        git("init", "--quiet", "--bare", str(scratch))
        git("fetch", "--quiet", "--", str(fetcher.store.input_path(content.digest)), "+refs/*:refs/*")
        return git("rev-parse", "--quiet", "--verify", f"{ref}^{{commit}}", accept=(0, 1))


def _is_bundle(url: str) -> bool:
    return urlsplit(url).path.endswith(".bundle")


# -- the transport --------------------------------------------------------------------------------------


def from_git(attempt: Attempt) -> None:
    """Fetch a commit and write its canonical tar."""
    import git

    url, _, commit = attempt.url.removeprefix("git+").partition("#")
    if not _COMMIT.match(commit):
        raise Unusable("names no commit")
    with attempt.store.scratch("git") as scratch, _repository(scratch / "repository", commit) as repository:
        try:
            source = _bundle_file(url, attempt, scratch) if _is_bundle(url) else url
            _fetch_commit(repository, source, commit, attempt)
            _write(repository, commit, attempt)
        except git.GitCommandError as error:
            attempt.cancel.check()
            raise _classified(error) from error


@contextlib.contextmanager
def _repository(path: Path, commit: str) -> Iterator[git.Repo]:
    import git

    with git.Repo.init(path, bare=True, object_format="sha256" if len(commit) == 64 else "sha1") as repository:
        repository.git.update_environment(**_ENVIRONMENT, GIT_DIR=str(path))
        yield repository


def _bundle_file(url: str, attempt: Attempt, scratch: Path) -> str:
    """The bundle's local path; a bundle has no hash of its own in the lock, the commit id is what counts."""
    if urlsplit(url).scheme == "file":
        path = Path(unquote(urlsplit(url).path))
        if not path.exists():
            raise Unusable("there is no such file", gone=True)
        return str(path)
    from pkgtool import http
    from pkgtool.inputs.partial import Partial
    from pkgtool.inputs.transfer import from_http

    place = scratch / "fetched.bundle"
    with http.client() as client, Partial(place) as partial:
        from_http(replace(attempt, url=url, partial=partial, size=None, on_bytes=lambda _: None), client)
    return str(place)


def _fetch_commit(repository: git.Repo, source: str, commit: str, attempt: Attempt) -> None:
    import git

    try:
        _fetch(repository, source, [commit], ["--depth=1"], attempt)
    except git.GitCommandError:
        attempt.cancel.check()
        _fetch(repository, source, ["+refs/*:refs/fetched/*"], [], attempt)
    try:
        kind = repository.git.cat_file("-t", commit)
    except git.GitCommandError as error:
        raise Unusable(f"has no commit {commit}", gone=True) from error
    if kind != "commit":
        raise Unusable(f"{commit} is a {kind}, not a commit")


def _fetch(repository: git.Repo, source: str, refs: list[str], options: list[str], attempt: Attempt) -> None:
    """git fetch with its progress told; a cancellation ends it."""
    from git.cmd import handle_process_output

    program = programs.require("git", "it is needed to fetch git repositories")
    flags = ["--progress", "--no-tags", "--no-write-fetch-head"]
    command = [program, "fetch", *options, *flags, "--", source, *refs]
    running: Any = repository.git.execute(command, as_process=True, start_new_session=True)
    progress = _progress(attempt)

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.proc.pid, signal.SIGTERM)  # git's helpers hold its output open

    with attempt.cancel.on_request(end):
        handle_process_output(running, None, progress.new_message_handler(), decode_streams=False)
        running.wait(stderr="\n".join(progress.error_lines))


def _progress(attempt: Attempt) -> git.RemoteProgress:
    import git

    class Received(git.RemoteProgress):
        """What git says it has received, as a share of the size that the lock says."""

        def update(
            self, op_code: int, cur_count: str | float, max_count: str | float | None = None, _message: str = ""
        ) -> None:
            if op_code & self.OP_MASK == self.RECEIVING and max_count and attempt.size:
                attempt.on_bytes(int(attempt.size * float(cur_count) / float(max_count)))

    return Received()


def _write(repository: git.Repo, commit: str, attempt: Attempt) -> None:
    listing = process.run(
        ["git", "--git-dir", str(repository.git_dir), "ls-tree", "-r", "-z", "--full-tree", commit],
        why="read git trees",
        cancel=attempt.cancel,
    )
    time = int(repository.git.show("--no-patch", "--format=%ct", commit))
    attempt.partial.restart()
    try:
        entries = parse_listing(listing.output)
        with _objects(repository, [entry.object_id for entry in entries]) as read:
            write_tar(entries, read, time, _Received(attempt))
    except ValueError as error:
        raise Unusable(str(error)) from error


@contextlib.contextmanager
def _objects(repository: git.Repo, ids: list[str]) -> Iterator[Callable[[], tuple[int, IO[bytes]]]]:
    """Sizes and streams of objects in the order of `ids`, from one `git cat-file`; each is to be read to its end."""
    asked = Path(repository.git_dir) / "wanted-objects"
    asked.write_text("".join(f"{object_id}\n" for object_id in ids))
    with asked.open("rb") as file:
        running: Any = repository.git.cat_file("--batch", istream=file, as_process=True)
        output: IO[bytes] = running.stdout
        first = True

        def read() -> tuple[int, IO[bytes]]:
            nonlocal first
            if not first:
                output.readline()  # the newline after the object before
            first = False
            header = output.readline().split()
            if len(header) != 3:
                raise ValueError(f"git can't read an object of the commit: {header!r}")
            return int(header[2]), output

        try:
            yield read
        finally:
            output.close()
            running.terminate()


class _Received:
    """A tar's sink that watches the size the lock says."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def write(self, content: bytes, /) -> int:
        self._attempt.receive(content)
        return len(content)


def _classified(error: git.GitCommandError) -> Temporary | Unusable:
    lines = [line.strip(" '") for line in str(error.stderr).removeprefix("\n  stderr: ").splitlines()]
    told = next((line for line in lines if line.startswith(("fatal:", "error:", "remote:"))), "git fetch failed")
    gone = bool(_PERMANENT.search(told))
    return Unusable(told, gone=gone) if gone else Temporary(told)
