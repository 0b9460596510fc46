"""Uploading one blob: mount it, send it in one request, or in parts that can be resumed (distribution-spec 1.1).

A blob that fits in one part goes as POST + PUT. A larger one goes as POST, PATCH… and PUT, and its upload URL is
remembered after each part: after a failure, here or in a later process, the registry is asked how much it has.
Whether all of it is right is decided by the registry, which refuses content without the digest named in the PUT.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlencode

from pkgtool.events import Note
from pkgtool.oci.documents import Descriptor
from pkgtool.oci.registry.authorization import Scopes
from pkgtool.oci.registry.blobs import Blobs
from pkgtool.oci.registry.body import Content, Part
from pkgtool.oci.registry.errors import Refused, RequestFailed, Unreachable, WrongContent, is_temporary
from pkgtool.oci.registry.transport import Reply, Transport
from pkgtool.oci.registry.unfinished import Unfinished

_RANGE = re.compile(r"(?:bytes=)?0-(\d+)\Z")
_OCTETS = {"Content-Type": "application/octet-stream"}
_MAX_MOUNTS = 3
_NOT_IN_PARTS = frozenset((400, 404, 405, 415))
_BROKEN_UPLOAD = frozenset(("DIGEST_INVALID", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"))
_NOT_IN_ONE = frozenset((400, 404, 405, 411, 413, 415))


class _Lost(Exception):
    """The registry no longer knows the upload, or holds something else in it."""


class _NotInParts(Exception):
    """The registry takes no parts."""


class Upload:
    """One blob's way into the repository `name`."""

    def __init__(
        self, transport: Transport, name: str, descriptor: Descriptor, content: Content, unfinished: Unfinished
    ) -> None:
        self._transport = transport
        self._name = name
        self._descriptor = descriptor
        self._content = content
        self._unfinished = unfinished
        self._key = unfinished.key(transport.address.host, name, descriptor.digest)
        self._blobs = Blobs(transport, name)
        self._scopes: Scopes = frozenset((f"repository:{name}:pull,push",))
        self._location = ""
        self._offset = 0
        self._unsure = False
        self._resumed = False
        self._sent = 0

    def run(self, mount_from: Sequence[str] = ()) -> int:
        """Make the blob present; the bytes that were sent for it. The caller has found it absent.

        Raises `RegistryError`; what has been sent of a large blob is kept for the next try.
        """
        if self._descriptor.size <= self._transport.settings.chunk:
            if not self._mount(mount_from):
                self._in_one()
            return self._sent
        with self._unfinished.alone(self._key, self._transport.cancel, self._tell_waiting):
            # Whoever held the lock before may have brought it here.
            if not self._blobs.has(self._descriptor.digest) and not self._mount(mount_from):
                self._in_parts()
            return self._sent

    def _tell_waiting(self) -> None:
        self._transport.sink(Note("info", f"another process uploads {self._descriptor.digest.short}: waiting for it"))

    # -- beginning --------------------------------------------------------------------------------------

    def _mount(self, candidates: Sequence[str]) -> bool:
        """Try to take the blob from another repository. A registry that won't has then begun an upload for us."""
        for source in candidates[:_MAX_MOUNTS]:
            scopes = self._scopes | {f"repository:{source}:pull"}
            query = urlencode({"mount": str(self._descriptor.digest), "from": source})
            try:
                reply = self._post(f"?{query}", scopes)
            except RequestFailed as problem:
                if is_temporary(problem):
                    raise
                continue  # not allowed to read there, or no such repository: then it is sent
            if reply.status == 201:
                return True
            self._location = self._transport.location(reply)
        return False

    def _begin(self) -> None:
        reply = self._post("", self._scopes)
        self._location, self._offset = self._transport.location(reply), 0
        if not self._location:
            raise WrongContent(f"{self._transport.address.host} began an upload without saying where")

    def _post(self, query: str, scopes: Scopes) -> Reply:
        # Repeating it costs the registry an upload that nobody goes on with, which it clears away.
        path = f"/v2/{self._name}/blobs/uploads/{query}"
        return self._transport.request("POST", path, scopes=scopes, expect=(201, 202), body=b"")

    # -- in one request ---------------------------------------------------------------------------------

    def _in_one(self, *, otherwise: bool = True) -> None:
        try:
            self._transport.persistently(self._send_whole)
        except Refused as problem:
            if "DIGEST_INVALID" in problem.codes:
                raise self._damaged(problem) from problem
            if not otherwise or problem.status not in _NOT_IN_ONE:
                raise
            self._location, self._offset, self._unsure = "", 0, False
            self._parts_until_done()

    def _send_whole(self) -> None:
        if self._unsure and self._blobs.has(self._descriptor.digest):
            return
        if self._unsure or not self._location:
            self._begin()
        self._unsure = True
        self._put(Part(self._content, 0, self._descriptor.size))

    def _put(self, body: Part | None) -> None:
        place = f"{self._location}{'&' if '?' in self._location else '?'}digest={self._descriptor.digest}"
        self._sent += body.size if body else 0
        self._transport.request(
            "PUT", place, scopes=self._scopes, expect=(201, 204), headers=_OCTETS, body=body or b"", retry=False
        )

    # -- in parts ---------------------------------------------------------------------------------------

    def _in_parts(self) -> None:
        remembered = self._unfinished.location(self._key)
        if remembered:
            self._location, self._unsure = remembered, True
        try:
            self._parts_until_done()
        except _NotInParts:
            self._location, self._offset, self._unsure = "", 0, False
            self._in_one(otherwise=False)
        self._unfinished.forget(self._key)

    def _parts_until_done(self) -> None:
        """Begin anew, a few times, if the registry loses an upload or refuses what was put together."""
        for _ in range(self._transport.settings.retry.attempts):
            try:
                while not self._transport.persistently(self._step):
                    pass
            except _Lost:
                self._unfinished.forget(self._key)
                self._location, self._offset, self._unsure, self._resumed = "", 0, False, False
            else:
                return
        raise Unreachable(
            f"{self._transport.address.host} keeps losing the upload of {self._descriptor.digest}",
            hint="the registry's own log says why; run the same command again later",
        )

    def _step(self) -> bool:
        """Send the next part, or end the upload; whether it is done."""
        if self._unsure:
            if self._blobs.has(self._descriptor.digest):
                return True
            self._ask_how_much()
        elif not self._location:
            self._begin()
        self._unsure = True
        done = self._offset == self._descriptor.size
        if done:
            self._finish()
        else:
            self._send_part()
        self._unsure = False
        return done

    def _send_part(self) -> None:
        size = min(self._transport.settings.chunk, self._descriptor.size - self._offset)
        last = self._offset + size - 1
        part = Part(self._content, self._offset, size)
        self._unfinished.remember(self._key, self._location)
        self._sent += size
        try:
            reply = self._transport.request(
                "PATCH",
                self._location,
                scopes=self._scopes,
                expect=(202, 204),
                headers={**_OCTETS, "Content-Range": f"{self._offset}-{last}"},
                body=part,
                retry=False,
            )
        except Refused as problem:
            # 416: not what it waits for. Otherwise in the middle of it: it has dropped the upload.
            if problem.status == 416 or (problem.status == 404 and self._offset):
                raise _Lost from problem
            if problem.status in _NOT_IN_PARTS and not self._offset:
                raise _NotInParts from problem
            raise
        self._location = self._transport.location(reply) or self._location
        taken = _RANGE.match(reply.headers.get("range", ""))
        self._offset = min(int(taken.group(1)), last) + 1 if taken else last + 1
        self._unfinished.remember(self._key, self._location)

    def _ask_how_much(self) -> None:
        """How much of an upload the registry has (GET on its URL). What can't be told is begun anew."""
        try:
            reply = self._transport.request("GET", self._location, scopes=self._scopes, expect=(200, 202, 204))
        except RequestFailed as problem:
            if is_temporary(problem):
                raise
            raise _Lost from problem
        taken = _RANGE.match(reply.headers.get("range", ""))
        # "0-0" is what registries also say for nothing at all.
        self._offset = int(taken.group(1)) + 1 if taken and taken.group(1) != "0" else 0
        self._location = self._transport.location(reply) or self._location
        if self._offset > self._descriptor.size:
            raise _Lost
        if self._offset:
            self._resumed = True
            self._transport.sink(Note("info", f"{self._descriptor.digest.short}: going on at byte {self._offset}"))

    def _finish(self) -> None:
        try:
            self._put(None)
        except Refused as problem:
            if "DIGEST_INVALID" in problem.codes and not self._resumed:
                raise self._damaged(problem) from problem
            if problem.status == 404 or problem.codes & _BROKEN_UPLOAD:
                raise _Lost from problem
            raise

    def _damaged(self, problem: Refused) -> WrongContent:
        """A refused digest means that what we sent is not what we said: our own copy is damaged."""
        return WrongContent(
            f"{self._transport.address.host} refused blob {self._descriptor.digest}: what was sent has another digest",
            details=problem.details,
            hint="'pkgtool store verify' tells whether the local copy is damaged",
        )
