"""Find, check and pin the next release of a kernel series."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.errors import InputError, UsageError
from pkgtool.events import Note, Sink
from pkgtool.inputs.fetch import Fetcher
from pkgtool.kernel import bump as bumping
from pkgtool.kernel.series import DIRECTORY, Release, Series, read_all
from pkgtool.oci.files import write_atomic
from pkgtool.source.trees import WorkingTree
from pkgtool.workflows.locks import make_fetcher
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.tree import open_store, open_workspace


def bump(options: RunOptions, name: str, keyring: Path | None, *, events: Sink, cancel: Cancellation) -> Release | None:
    """Pin the next release in the series' file; None if there is none.

    `keyring` has the keys that may sign a kernel.org release. Raises `InputError`, `KernelError`, `UsageError`.
    """
    workspace, _ = open_workspace(options)
    root = Path(workspace.root)
    series = read_all(WorkingTree(root), (name,))[name]
    store = open_store(options, workspace)
    fetcher = make_fetcher(store, workspace, events=events, cancel=cancel)
    with store.in_use(cancel=cancel), fetcher, store.scratch("bump") as scratch:
        if series.release().debian:
            found = bumping.next_debian(series, workspace.settings, scratch, datetime.now(UTC), cancel)
        else:
            found = _next_upstream(series, fetcher, keyring, scratch, events)
    if found:
        path = root / DIRECTORY / "series" / f"{name}.yml"
        write_atomic(path, bumping.with_release(path.read_text(), found).encode())
    return found


def _next_upstream(
    series: Series, fetcher: Fetcher, keyring: Path | None, scratch: Path, events: Sink
) -> Release | None:
    if series.signature is None:
        raise InputError(f"series {series.name} names nobody who signs its releases", location=series.location)
    listed = fetcher.learn("the list of releases", [bumping.RELEASES_URL])
    version = bumping.next_version(fetcher.store.input_path(listed.digest).read_text(), series)
    if not version:
        return None
    if keyring is None:
        raise UsageError(
            f"{version} is new, and a release is pinned only if its signature is right",
            hint="name the signers' keys with --keyring FILE (kernel.org/signature.html)",
        )
    events(Note("info", f"fetching {version}"))
    current = series.release()
    url = current.url.replace(current.version, version)
    tarball = fetcher.learn(f"linux {version}", [url])
    signature = fetcher.learn("its signature", [series.signature.url.replace("{version}", version)])
    place = fetcher.store.input_path
    # The checks go by the names of the files.
    file = scratch / url.rpartition("/")[2]
    file.symlink_to(place(tarball.digest))
    return bumping.checked_release(series, version, file, place(signature.digest), keyring, scratch=scratch)
