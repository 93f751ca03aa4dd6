"""Amendments that come over the wire: each is in the log once, and answered when it is durable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from robot_rl.ingest.log_committer import LifeBook, LogCommitter
from robot_rl.wire.amendment import Amendment, decode
from robot_rl.wire.protocol import Amended

Answer = Callable[[Amended], object]


@dataclass(slots=True)
class Amendments:
    """By token; a token that the log has already is answered again, and nothing is appended.

    amendments = Amendments(committer, books, (a.token for a in read_amendments(log)))
    amendments.take(body, answer)           # after what came before it was committed
    amendments.announce()                       # after committer.durable()
    """

    committer: LogCommitter
    books: dict[tuple[str, int], LifeBook]
    durable: set[int] = field(default_factory=set)
    _waiting: dict[int, list[Answer]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        committer: LogCommitter,
        books: dict[tuple[str, int], LifeBook],
        logged: Iterable[int],
    ) -> Amendments:
        """With the tokens that the log has; 0 is that of amendments that were not sent."""
        return cls(committer, books, {token for token in logged if token})

    def take(
        self, body: bytes | memoryview, answer: Answer, *, only: str = "", after: int = 0
    ) -> None:
        """Appends an amendment, once.

        only: the actor whose episodes the sender may amend; after: records of the life that must
        be in the log before it; where they are not, nothing happens, and it is sent again. What
        can never be taken is answered with the reason. Raises DataError on bytes that are no
        amendment, and where the disk does not take it: then the sender tries again.
        """
        amendment = decode(body)
        token = amendment.token
        if token in self.durable:
            answer(Amended(token))
        elif token in self._waiting:
            self._waiting[token].append(answer)
        elif only == amendment.actor and not self._there(amendment, after):
            return
        elif reason := self._refusal(amendment, only):
            answer(Amended(token, reason))
        else:
            self.committer.amend(amendment)
            self._waiting[token] = [answer]

    def announce(self) -> None:
        """Answers whoever waits for what is durable now."""
        for token in self.committer.amended():
            self.durable.add(token)
            for answer in self._waiting.pop(token, ()):
                answer(Amended(token))

    def _there(self, amendment: Amendment, after: int) -> bool:
        book = self.books.get((amendment.actor, amendment.epoch))
        return book is not None and book.next_sequence >= after

    def _refusal(self, amendment: Amendment, only: str) -> str:
        """Why an amendment can never be taken, "" if it can."""
        actor, epoch, episode = amendment.key
        what = f"{amendment.action} of episode {episode} of actor '{actor}'"
        if not amendment.token:
            return f"{what}: it has no token; valid: a random u64"
        if only and actor != only:
            return f"{what}: actor '{only}' may amend its own episodes only"
        book = self.books.get((actor, epoch))
        if book is None:
            known = sorted({f"{name}, epoch {life}" for name, life in self.books}) or ["none"]
            return f"{what}: the log has no epoch {epoch} of it; valid: {'; '.join(known[:8])}"
        if episode >= book.episodes:
            return f"{what}: the log has episodes below {book.episodes} of this life"
        return ""
