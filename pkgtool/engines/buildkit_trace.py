"""Lines for people out of BuildKit's progress records.

They come as protocol buffers (moby.buildkit.v1.StatusResponse in api/services/control/control.proto), from BuildKit
itself and through Docker's API. Only a few fields matter here.
"""

from __future__ import annotations

from collections.abc import Iterator

from pkgtool.engines.buildkit.wire import Message

_VERTEX, _LOG = 1, 3
_DIGEST, _NAME, _CACHED, _COMPLETED, _ERROR = 1, 3, 4, 6, 7
_LOG_VERTEX, _LOG_STREAM, _LOG_MESSAGE = 1, 3, 4


class TraceReader:
    """Remembers which steps were announced, and gathers log fragments into lines."""

    def __init__(self) -> None:
        self._announced: set[bytes] = set()
        self._ended: set[bytes] = set()
        self._partial: dict[tuple[bytes, int], bytes] = {}

    def lines(self, record: bytes) -> Iterator[str]:
        """What a record adds. Raises `ValueError` if it is no such record."""
        content = Message(record)
        for vertex in content.messages(_VERTEX):
            yield from self._vertex(vertex)
        for entry in content.messages(_LOG):
            source = (entry.content(_LOG_VERTEX), entry.integer(_LOG_STREAM))
            yield from self._log(source, entry.content(_LOG_MESSAGE))

    def rest(self) -> Iterator[str]:
        """Lines that never got their end."""
        for content in self._partial.values():
            if content:
                yield content.decode("utf-8", "replace")
        self._partial.clear()

    def _vertex(self, vertex: Message) -> Iterator[str]:
        digest, name = vertex.content(_DIGEST), vertex.text(_NAME)
        if name.startswith("[internal]"):
            return
        if digest not in self._announced:
            self._announced.add(digest)
            yield f"=> {name}"
        if digest not in self._ended and (vertex.has(_COMPLETED) or vertex.integer(_CACHED)):
            self._ended.add(digest)
            if vertex.integer(_CACHED):
                yield f"=> {name} (cached)"
            if vertex.has(_ERROR):
                yield f"=> {name} failed: {vertex.text(_ERROR)}"

    def _log(self, source: tuple[bytes, int], message: bytes) -> Iterator[str]:
        """Lines of one step's output or error output, whose pieces come in between each other."""
        *complete, rest = (self._partial.get(source, b"") + message).split(b"\n")
        self._partial[source] = rest
        for line in complete:
            yield line.decode("utf-8", "replace").rstrip("\r")
