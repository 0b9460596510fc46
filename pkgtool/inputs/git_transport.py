"""The transport of git's commits: `git+URL#COMMIT` becomes the commit's canonical tar.

The URL may be that of a bundle (`….bundle`, by http, https or file). Only the one commit is asked for; servers that
refuse that are asked for everything.
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
from pkgtool.inputs.git_tree import parse_listing, write_tar
from pkgtool.inputs.transfer import Attempt, Temporary, Unusable

if TYPE_CHECKING:
    import git

COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
"""A full commit id, of either hash."""
ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_CONFIG_COUNT": "1",
    # A bundle or directory of another user may be read: what it gives is checked by hash.
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "LC_ALL": "C.UTF-8",
}
"""What every git command of ours runs with: it never asks, and reads from these protocols alone."""
_PERMANENT = re.compile(r"not found|does not exist|not a git repository|not appear to be a git|Authentication failed")


def is_bundle(url: str) -> bool:
    """Whether a URL is that of a git bundle."""
    return urlsplit(url).path.endswith(".bundle")


def from_git(attempt: Attempt) -> None:
    """Fetch a commit and write its canonical tar."""
    import git

    url, _, commit = attempt.url.removeprefix("git+").partition("#")
    if not COMMIT.match(commit):
        raise Unusable("names no commit")
    with attempt.store.scratch("git") as scratch, _repository(scratch / "repository", commit) as repository:
        try:
            source = _bundle_file(url, attempt, scratch) if is_bundle(url) else url
            _fetch_commit(repository, source, commit, attempt)
            _write(repository, commit, attempt)
        except git.GitCommandError as error:
            attempt.cancel.check()
            raise _classified(error) from error


@contextlib.contextmanager
def _repository(path: Path, commit: str) -> Iterator[git.Repo]:
    import git

    with git.Repo.init(path, bare=True, object_format="sha256" if len(commit) == 64 else "sha1") as repository:
        repository.git.update_environment(**ENVIRONMENT, GIT_DIR=str(path))
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
