"""Files from URLs: locked by hash, and by their upstream's signature where there is one."""

from __future__ import annotations

from pathlib import Path

from pkgtool.errors import InputError
from pkgtool.inputs import signature
from pkgtool.inputs.archive_date import newest_member
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.fetch import Check, Fetcher
from pkgtool.inputs.lock import LockedFile
from pkgtool.model import FileInput
from pkgtool.oci.files import hash_file


def lock_file(
    package: str, request: FileInput, previous: LockedFile | None, directory: Path, fetcher: Fetcher
) -> LockedFile:
    """Pin one file. `previous` is kept if it is of the same URL; `directory` holds the package's keyring.

    Raises `InputError` if the file can't be had, is not what build.yml says, or its signature is refused.
    """
    if previous and previous.request.url == request.url and _agrees(previous, request):
        if _signed_alike(previous.request, request):
            return LockedFile(request, previous.content, previous.date)
        fetcher.fetch([file_artifact(package, previous)], step=f"lock {package}")
        content = previous.content
    else:
        places = (request.url, *request.mirrors)
        content = fetcher.learn(request.name, places, check=_as_given(request), step=f"lock {package}")
    path = fetcher.store.input_path(content.digest)
    if request.signature:
        _check_signature(request, path, directory, fetcher)
    return LockedFile(request, content, newest_member(path))


def file_artifact(package: str, file: LockedFile) -> Artifact:
    """A locked file as something to fetch."""
    request = file.request
    return Artifact(package, request.name, request.name, file.content, (request.url, *request.mirrors))


def _as_given(request: FileInput) -> Check:
    """The check against the sha256 that build.yml may give."""

    def check(path: Path) -> str:
        found = hash_file(path).hex
        if request.sha256 in ("", found):
            return ""
        return f"wrong bytes: sha256 {found}, pinned is {request.sha256}"

    return check


def _agrees(previous: LockedFile, request: FileInput) -> bool:
    return not request.sha256 or request.sha256 == previous.content.digest.hex


def _signed_alike(previous: FileInput, request: FileInput) -> bool:
    return (previous.signature, previous.keyring) == (request.signature, request.keyring)


def _check_signature(request: FileInput, path: Path, directory: Path, fetcher: Fetcher) -> None:
    if not request.keyring:
        raise InputError(f"{request.name} has a signature but no keyring to check it against")
    content = fetcher.learn(f"the signature of {request.name}", (request.signature,))
    with fetcher.store.scratch("gpgv") as scratch:
        signature.verify(
            request.name,
            path,
            fetcher.store.input_path(content.digest),
            directory / request.keyring,
            compression=signature.compression_signed_without(request.url, request.signature),
            scratch=scratch,
            cancel=fetcher.cancel,
        )
