"""Several engines as one: each build goes to a node that suits it, and to another one if that node is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.engines import schedule
from pkgtool.engines.interface import BuildRequest, Engine, EngineInfo, EngineLost, LineSink
from pkgtool.engines.schedule import Patience, Seat, State
from pkgtool.errors import EngineError, PkgtoolError
from pkgtool.events import Note, Sink
from pkgtool.nodes import Node
from pkgtool.values import Platform

_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Member:
    """A node and how it is connected to. The reserve takes only what no other node is for."""

    node: Node
    connect: Callable[[], Engine]
    reserve: bool = False


@dataclass(slots=True, eq=False)
class _Connection:
    """An engine and how many builds use it; once `doomed`, the last of them closes it."""

    engine: Engine
    users: int = 0
    doomed: bool = False


@dataclass(slots=True, eq=False)
class _Ticket:
    """A build that waits for a node. The first to come is the first to get one."""

    platform: Platform
    seat: Seat | None = None
    connection: _Connection | None = None
    refusal: BaseException | None = None


class Pool:
    """The nodes of one run. Connects to a node when a build could go there; may be used by many threads."""

    def __init__(
        self, members: Sequence[Member], platform: Platform, *, events: Sink, patience: Patience | None = None
    ) -> None:
        self._members = {member.node.name: member for member in members}
        self._seats = [Seat(member.node, member.reserve) for member in members]
        self._connections: dict[str, _Connection] = {}
        self._patience = patience or Patience()
        self._events = events
        self._changed = threading.Condition()
        self._tickets: list[_Ticket] = []
        self._closed = False
        names = ", ".join(member.node.name for member in members if not member.reserve)
        self.info = EngineInfo("pool", f"of {names}", platform)

    def build(self, request: BuildRequest, output: Path, *, log: LineSink, cancel: Cancellation) -> EngineInfo:
        """See `Engine.build`. Raises `EngineError` if no node is left that could do it, with the reason of each."""
        lost = 0
        while True:
            ticket = self._take(request.runs_on, cancel)
            assert ticket.seat is not None
            assert ticket.connection is not None
            try:
                made_by = ticket.connection.engine.build(request, output, log=log, cancel=cancel)
            except EngineLost as loss:
                lost += 1
                log(f"{ticket.seat.node.name} was lost: {loss.message}")
                self._lose(ticket, loss, request)
                if lost > len(self._seats) + self._patience.attempts:
                    raise EngineError(
                        f"{request.title} was given up: {lost} times the node that built it was lost",
                        details=self._reasons(request.runs_on),
                        hint="see the log of its step, and of buildkitd on the nodes",
                    ) from loss
            else:
                ticket.seat.failures = 0
                return made_by
            finally:
                self._give_back(ticket)

    def close(self) -> None:
        """Hang up everywhere."""
        with self._changed:
            self._closed = True
            connections = list(self._connections.values())
            self._connections.clear()
        for connection in connections:
            connection.engine.close()

    # -- giving nodes to builds -------------------------------------------------------------------------

    def _take(self, platform: Platform, cancel: Cancellation) -> _Ticket:
        ticket = _Ticket(platform)
        with self._changed:
            self._tickets.append(ticket)
            try:
                while True:
                    cancel.check()
                    self._assign()
                    if ticket.refusal:
                        raise ticket.refusal
                    if ticket.seat:
                        return ticket
                    self._changed.wait(_LOOK_SECONDS)
            except BaseException:
                if ticket.seat is None:
                    self._tickets.remove(ticket)
                raise

    def _assign(self) -> None:
        """Serve whoever can be served. Called with the lock held, whenever something may have changed."""
        now = time.monotonic()
        for ticket in [t for t in self._tickets if t.refusal is None]:
            for seat in list(schedule.due(self._seats, ticket.platform, now)):
                seat.state = State.TRYING
                threading.Thread(target=self._try, args=(seat,), daemon=True).start()
            seat_found = schedule.pick(self._seats, ticket.platform)
            if seat_found:
                ticket.seat = seat_found
                ticket.connection = self._connections[seat_found.node.name]
                ticket.connection.users += 1
                seat_found.running += 1
                self._tickets.remove(ticket)
                self._changed.notify_all()
            elif schedule.hopeless(self._seats, ticket.platform, self._patience):
                ticket.refusal = self._nobody(ticket.platform)
                self._changed.notify_all()

    def _give_back(self, ticket: _Ticket) -> None:
        assert ticket.seat is not None
        assert ticket.connection is not None
        with self._changed:
            ticket.seat.running -= 1
            ticket.connection.users -= 1
            unused = ticket.connection.doomed and not ticket.connection.users
            self._assign()
        if unused:
            ticket.connection.engine.close()

    def _nobody(self, platform: Platform) -> EngineError:
        possible = schedule.candidates(self._seats, platform)
        hint = next((seat.hint for seat in possible if seat.hint), None)
        return EngineError(
            f"no node is left that could build for {platform}",
            details=self._reasons(platform),
            hint=hint or "what is finished is kept; 'pkgtool doctor' looks at every node",
        )

    def _reasons(self, platform: Platform) -> list[str]:
        return [f"{seat.node.name}: {seat.reason}" for seat in schedule.candidates(self._seats, platform)]

    # -- coming and going -------------------------------------------------------------------------------

    def _try(self, seat: Seat) -> None:
        """Connect to a node, in a thread of its own."""
        engine: Engine | None = None
        problem: BaseException | None = None
        try:
            engine = self._members[seat.node.name].connect()
        except BaseException as found:  # noqa: BLE001 - a defect is raised where the build waits
            problem = found
        with self._changed:
            if engine and self._closed:
                engine.close()
            elif engine:
                self._connections[seat.node.name] = _Connection(engine)
                seat.state, seat.info = State.READY, engine.info
                if seat.failures:
                    self._say("info", f"{seat.node.name} answers again")
            elif isinstance(problem, EngineLost):
                self._away(seat, problem)
            elif isinstance(problem, PkgtoolError):
                seat.state, seat.reason, seat.hint = State.UNUSABLE, problem.message, problem.hint
                self._say("warning", f"{seat.node.name} can't be used: {problem.message}")
            else:
                for ticket in self._tickets:
                    ticket.refusal = problem
            self._assign()
            self._changed.notify_all()

    def _lose(self, ticket: _Ticket, loss: EngineLost, request: BuildRequest) -> None:
        assert ticket.seat is not None
        assert ticket.connection is not None
        name = ticket.seat.node.name
        with self._changed:
            if self._connections.get(name) is ticket.connection:  # else another build has noticed it before
                ticket.connection.doomed = True
                del self._connections[name]
                self._away(ticket.seat, loss)
            self._say("warning", f"{name} was lost while it built {request.title}, which is built again elsewhere")

    def _away(self, seat: Seat, loss: EngineLost) -> None:
        seat.failures += 1
        seat.state, seat.reason = State.AWAY, loss.message
        seat.retry_at = time.monotonic() + self._patience.pause(seat.failures)
        if seat.failures == 1:
            self._say("warning", f"{seat.node.name} is away: {loss.message}")

    def _say(self, level: str, message: str) -> None:
        self._events(Note(level, message))
