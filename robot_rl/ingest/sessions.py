"""Who is connected to ingest, and what each life of each actor has sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_rl.errors import HandshakeError
from robot_rl.ingest.credits import Account, share
from robot_rl.ingest.log_committer import LifeBook
from robot_rl.ingest.log_counts import Count
from robot_rl.wire.protocol import ActorStats, Beat, Hello

LEASE_S = 1.0
"""An I/O process that was heard within this time keeps its actor's id, unless the next one holds
the same spool's lock: then it is dead."""
ACTIVE_S = 3.0
"""A life heard within this time gets credits."""


@dataclass(slots=True)
class Session:
    """One connection of an I/O process."""

    book: LifeBook
    sender: int
    heard: float
    """Monotonic seconds, here."""
    user: str = ""
    """Public key that said Hello; "" without keys."""
    beat: Beat | None = None
    plant: list[str] = field(default_factory=list)
    """How its robot differs from the one that the log was begun with, where it may."""
    wants_after: int = -1
    """Waits for weights that follow on this version; -1: has not asked."""


@dataclass(slots=True)
class Sessions:
    """Sessions by routing id, books by (actor, epoch)."""

    sessions: dict[bytes, Session] = field(default_factory=dict)
    books: dict[tuple[str, int], LifeBook] = field(default_factory=dict)

    def restore(
        self, actor: str, epoch: int, next_sequence: int, count: Count, uncounted: int
    ) -> LifeBook:
        """A life that the log has already; `uncounted` of its missing records were no steps."""
        book = LifeBook(actor, epoch, next_sequence, next_sequence, count.records)
        book.expected, book.episodes = next_sequence, count.episodes
        # What is missing was quarantined, but taken.
        taken = count.steps + next_sequence - count.records - uncounted
        book.account = Account(taken, taken)
        self.books[actor, epoch] = book
        return book

    def claim(self, peer: bytes, hello: Hello, now: float, user: str = "") -> LifeBook | None:
        """The book of a greeted life; None while the I/O process of another spool holds the id.

        An older connection of the same spool ends; so does the session of another one that has been
        silent for `LEASE_S`.
        """
        for other, session in list(self.sessions.items()):
            if session.book.actor != hello.actor or other == peer:
                continue
            if session.sender != hello.sender and now - session.heard < LEASE_S:
                return None
            del self.sessions[other]
        book = self.books.setdefault((hello.actor, hello.epoch), LifeBook(hello.actor, hello.epoch))
        self.sessions[peer] = Session(book, hello.sender, now, user)
        return book

    def check_room(self, actor: str, most: int) -> None:
        """HandshakeError for an id that neither log nor session knows, beyond `most` of them.

        The learner's replay has a ring for each actor; it is not to end because of one too many.
        """
        known = sorted({name for name, _ in self.books})
        if most and actor not in known and len(known) >= most:
            raise HandshakeError(
                f"actor '{actor}' is one too many: this run has room for {most} "
                f"({', '.join(known)}); valid: one of these ids, or actors={most + 1} where the "
                "learner is started"
            )

    def drop(self, book: LifeBook) -> list[bytes]:
        """Ends every session of a life; gives their peers."""
        peers = self.peers(book)
        for peer in peers:
            del self.sessions[peer]
        return peers

    def peers(self, book: LifeBook) -> list[bytes]:
        """The connections of a life: one, or none."""
        return [peer for peer, session in self.sessions.items() if session.book is book]

    def share(self, granted: int, steps: int, now: float) -> bool:
        """Shares the learner's grant among living sessions; True if any got more."""
        live = [s.book.account for s in self.sessions.values() if now - s.heard < ACTIVE_S]
        return share(granted, steps, live)

    def stats(self, now: float) -> list[ActorStats]:
        """The newest life of each actor."""
        connected = {id(session.book): session for session in self.sessions.values()}
        newest: dict[str, LifeBook] = {}
        for book in self.books.values():
            held = newest.get(book.actor)
            if held is None or id(book) in connected or id(held) not in connected:
                newest[book.actor] = book
        return [_stats(book, connected.get(id(book)), now) for book in newest.values()]


def _stats(book: LifeBook, session: Session | None, now: float) -> ActorStats:
    beat = session.beat if session else None
    return ActorStats(
        actor=book.actor,
        epoch=book.epoch,
        connected=session is not None and now - session.heard < ACTIVE_S,
        records=book.records,
        steps=book.account.steps,
        allowed=book.account.allowed,
        heard_ms=int(1000 * (now - session.heard)) if session else -1,
        actor_age_ms=beat.actor_age_ms if beat else -1,
        ring_depth=beat.ring_depth if beat else 0,
        spool_bytes=beat.spool_bytes if beat else 0,
        used_version=beat.used_version if beat else 0,
        quarantined=book.quarantined,
        paused=beat is not None and beat.paused,
        resting=beat is not None and beat.resting,
        plant=session.plant if session else [],
    )
