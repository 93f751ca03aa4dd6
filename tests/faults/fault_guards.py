"""What each guard of the product does, taken out: for the planted-bug twins.

A twin runs the same fault and the same assertions with one of these switched off in its processes,
and must fail. They replace functions in the test's own process or in one started by fault_child.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fault_points import find

GUARDS: dict[str, Callable[[], None]] = {}
_undo: list[tuple[Any, str, Any]] = []


def guard(function: Callable[[], None]) -> Callable[[], None]:
    """Registers a guard by its function's name."""
    GUARDS[function.__name__] = function
    return function


def replace(target: str, value: Any) -> Any:
    """Puts `value` where "module:Class.name" is; gives what was there."""
    owner, name, old = find(target)
    _undo.append((owner, name, owner.__dict__.get(name, old)))
    setattr(owner, name, value)
    return old


def disable(name: str) -> None:
    """Takes a guard out of this process."""
    GUARDS[name]()


@contextmanager
def without(*names: str) -> Iterator[None]:
    """The guards are out inside, and back afterwards."""
    mark = len(_undo)
    try:
        for name in names:
            disable(name)
        yield
    finally:
        while len(_undo) > mark:
            owner, name, old = _undo.pop()
            setattr(owner, name, old)


@guard
def acknowledge_after_append() -> None:
    """Out: acknowledged as soon as received, appended five times a second."""
    from robot_rl.runtime.intake import Intake, LifeBook

    done: dict[int, float] = {}
    function: Any = Intake._commit

    def early(self: Intake, book: LifeBook) -> None:
        book.acknowledged = book.expected
        self._now.append(book)
        if time.monotonic() - done.setdefault(id(book), time.monotonic()) > 0.2:
            done[id(book)] = time.monotonic()
            function(self, book)

    replace("robot_rl.runtime.intake:Intake._commit", early)


@guard
def acknowledge_after_sync() -> None:
    """Out: acknowledged once appended, whatever the disk has; a sync a minute."""
    from robot_rl.runtime.intake import Intake, LifeBook

    function: Any = Intake.__init__

    def begin(self: Intake, log: Any, dtype: Any, sync_ms: float) -> None:
        function(self, log, dtype, 0.0)

    def never(self: Intake) -> list[LifeBook]:
        books, self._now = self._now, []
        return books

    replace("robot_rl.runtime.intake:Intake.__init__", begin)
    replace("robot_rl.runtime.intake:Intake.durable", never)


@guard
def spool_outlives_its_process() -> None:
    """Out: an I/O process begins with an empty spool."""
    function: Any = None

    def begin(self: Any) -> None:
        for path in self.directory.glob("*.spool"):
            path.unlink()
        function(self)

    function = replace("robot_rl.wire.spool:Spool.__post_init__", begin)


@guard
def spool_is_synced() -> None:
    """Out: the spool never reaches the disk by our doing."""
    replace("robot_rl.wire.spool:Spool.sync", lambda self: None)


@guard
def release_after_spooling() -> None:
    """Out: the ring's slots are free again before the spool has the records."""
    function: Any = None

    def eager(self: Any, limit: int) -> bytes:
        payload: bytes = function(self, limit)
        self.release()
        if payload:
            time.sleep(0.02)
        return payload

    function = replace("robot_rl.wire.ring:RingReader.read", eager)


@guard
def record_in_shared_memory_at_once() -> None:
    """Out: the actor keeps 32 records to itself before it shares them."""
    kept: list[bytes] = []
    function: Any = None

    def lazy(self: Any, record: memoryview) -> bool:
        kept.append(bytes(record))
        if len(kept) >= 32:
            for old in kept:
                function(self, old)
            kept.clear()
        return True

    function = replace("robot_rl.wire.ring:RingWriter.try_write", lazy)


@guard
def slot_before_counter() -> None:
    """Out: the ring's counter moves before the record is there, which is not checked either."""
    import numpy as np

    from robot_rl.wire import ring

    function: Any = None

    def torn(self: Any, record: memoryview) -> bool:
        self.head += 1
        ring._COUNTER.pack_into(self._map, ring._HEAD, self.head)
        time.sleep(0.0015)
        self.head -= 1
        done: bool = function(self, record)
        return done

    def unchecked(self: Any, limit: int) -> bytes:
        count = max(0, min(limit, self.depth, self.identity.slots))
        places = (self.position + np.arange(count)) % self.identity.slots
        size = self.identity.record_bytes
        payload: bytes = self._rows[places, 16 : 16 + size].tobytes()
        self.position += count
        return payload

    function = replace("robot_rl.wire.ring:RingWriter.try_write", torn)
    replace("robot_rl.wire.ring:RingReader.read", unchecked)


@guard
def older_rings_are_drained() -> None:
    """Out: an actor that starts throws away what its last life left in the ring."""
    from robot_rl.wire.ring import ring_paths

    function: Any = None

    def fresh(self: Any, directory: Any, actor: str, *words: Any, **options: Any) -> None:
        for path in ring_paths(directory, actor):
            path.unlink()
        function(self, directory, actor, *words, **options)

    function = replace("robot_rl.wire.ring:RingWriter.__init__", fresh)


@guard
def deduplication() -> None:
    """Out: whatever arrives is appended, whether it is in the log already or not."""
    from robot_rl.runtime.intake import Intake, LifeBook
    from robot_rl.wire.chunk import parse_header

    def take(self: Intake, book: LifeBook, extra: bytes, body: Any) -> None:
        header = parse_header(extra)
        book.pending.append((header, bytes(body)))
        book.expected = header.first_sequence + header.count

    def commit(self: Intake, book: LifeBook) -> None:
        pending, book.pending = book.pending, []
        for header, body in pending:
            self._log._state.sequences.pop((book.actor, book.epoch), None)  # type: ignore
            self._log.append(header, body)
            self._appends += 1
            book.next_sequence = header.first_sequence + header.count
        self._waiting.append((self._appends, book, book.next_sequence))
        assert self.syncer is not None
        self.syncer.mark(self._appends)

    replace("robot_rl.runtime.intake:Intake.take", take)
    replace("robot_rl.runtime.intake:Intake._commit", commit)
    replace("robot_rl.runtime.registry:Registry.restore", lambda *_: None)
    function: Any = None

    def claim(self: Any, *words: Any) -> LifeBook | None:
        book: LifeBook | None = function(self, *words)
        if book is not None:
            book.acknowledged = book.next_sequence = 0
        return book

    function = replace("robot_rl.runtime.registry:Registry.claim", claim)


@guard
def sequence_gaps_are_refused() -> None:
    """Out: a chunk that does not follow is taken, and what lies between counts as received."""
    from robot_rl.runtime.intake import Intake, LifeBook
    from robot_rl.wire.chunk import parse_header

    function: Any = Intake.take

    def take(self: Intake, book: LifeBook, extra: bytes, body: Any) -> None:
        header = parse_header(extra)
        if header.first_sequence > book.expected:
            self.commit(book)
            book.expected = book.next_sequence = header.first_sequence
        function(self, book, extra, body)

    replace("robot_rl.runtime.intake:Intake.take", take)


@guard
def checksums_on_the_wire() -> None:
    """Out: a chunk's payload is taken without its CRC32C, by intake and by the log's writer."""
    replace("robot_rl.runtime.intake:check_payload", lambda header, body: None)
    replace("robot_rl.data.log_writer:check_payload", lambda header, body: None)


@guard
def quarantine() -> None:
    """Out: records with NaN or infinity go into the log."""
    replace("robot_rl.runtime.intake:poisoned", lambda records: "")
    replace("robot_rl.data.log_writer:poisoned", lambda records: "")


@guard
def finite_weights() -> None:
    """Out: weights are taken whatever they hold, by all who check them."""
    replace("robot_rl.wire.weights:np", _Blind())


class _Blind:
    """NumPy that finds everything finite."""

    def __getattr__(self, name: str) -> Any:
        import numpy

        return getattr(numpy, name)

    @staticmethod
    def isfinite(values: Any) -> Any:
        import numpy

        return numpy.ones(numpy.shape(values), bool)


@guard
def one_process_an_id() -> None:
    """Out: whoever says an actor's name gets its session."""
    from robot_rl.runtime.intake import LifeBook
    from robot_rl.runtime.registry import Registry, Session

    def claim(self: Registry, peer: bytes, hello: Any, now: float, *user: str) -> LifeBook:
        key = (hello.actor, hello.epoch)
        book = self.books.setdefault(key, LifeBook(*key))
        self.sessions[peer] = Session(book, hello.sender, now, *user)
        return book

    replace("robot_rl.runtime.registry:Registry.claim", claim)


@guard
def specification_is_compared() -> None:
    """Out: a handshake takes any specification and protocol version."""
    from robot_rl.specs import EnvSpec

    def check(hello: Any, spec: Any) -> Any:
        return spec or EnvSpec.from_json(hello.spec)

    replace("robot_rl.wire.protocol:check_hello", check)


@guard
def garbage_is_counted() -> None:
    """Out: what cannot be decoded is an error of the loop, as in the peer's server thread."""

    def fatal(self: Any, what: str) -> None:
        raise RuntimeError(what)

    replace("robot_rl.runtime.server:IngestServer._count_garbage", fatal)


@guard
def only_whole_appends_count() -> None:
    """Out: a write that the disk took in part counts as done, in spool and log."""
    import os

    vector: Any = os.writev
    placed: Any = os.pwritev

    def all_taken(handle: int, buffers: Any) -> int:
        with suppress(OSError):
            vector(handle, buffers)
        return sum(len(bytes(b)) for b in buffers)

    def all_placed(handle: int, buffers: Any, offset: int) -> int:
        with suppress(OSError):
            placed(handle, buffers, offset)
        return sum(len(bytes(b)) for b in buffers)

    replace("os:writev", all_taken)
    replace("os:pwritev", all_placed)


@guard
def monotonic_watchdogs() -> None:
    """Out: every timer looks at the wall clock."""
    replace("time:monotonic", time.time)
    replace("time:monotonic_ns", time.time_ns)


@guard
def checkpoints_are_hashed() -> None:
    """Out: a checkpoint is believed as it lies there."""
    from pathlib import Path

    function: Any = None

    def believed(path: Path) -> str:
        sums = path.parent / "SHA256SUMS"
        words = sums.read_text(errors="replace").split() if sums.exists() else []
        if path.name in words[1:]:
            return words[words.index(path.name) - 1]
        return str(function(path))

    function = replace("robot_rl.runtime.checkpoint:_sha256", believed)


@guard
def sampler_in_the_checkpoint() -> None:
    """Out: the sampling generator starts anew after each restart."""
    from robot_rl.runtime.learner import Learner

    function: Any = Learner.save

    def save(self: Learner) -> None:
        import numpy as np

        rng, self.rng = self.rng, np.random.default_rng(0)
        function(self)
        self.rng = rng

    replace("robot_rl.runtime.learner:Learner.save", save)


@guard
def credits_are_enforced() -> None:
    """Out: an actor may take as many steps as it likes."""
    replace("robot_rl.wire.actor_link:ActorLink.credits", property(lambda self: 1 << 60))


@guard
def spool_keeps_what_is_not_acknowledged() -> None:
    """Out: the newest 2,000 records are kept and the rest dropped, as the peer's queue does."""
    function: Any = None

    def bounded(self: Any, header: Any, payload: bytes) -> None:
        held = header.first_sequence - self.settled[1]
        if held > 2000:
            self.newest = (header.epoch, header.first_sequence + header.count)
            return
        function(self, header, payload)

    function = replace("robot_rl.wire.spool:Spool.append", bounded)


@guard
def control_loop_asks_nobody() -> None:
    """Out: the control loop asks over a socket for statistics, and waits 3 s for the answer."""
    from robot_rl.wire.sockets import Dealer, Waiter

    calls = 0
    function: Any = None

    def asking(self: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 200 == 0:
            dealer = Dealer("tcp://127.0.0.1:9")
            dealer.send(b"statistics")
            Waiter([dealer]).wait(3000)
            dealer.close()
        return function(self)

    function = replace("robot_rl.wire.actor_link:ActorLink.newest", asking)


@guard
def newest_weights_only() -> None:
    """Out: every version is handed on in its turn, ten a second."""
    from robot_rl.runtime.weight_store import WeightStore

    queue: list[Any] = []
    moved = 0.0

    def take(self: WeightStore, part: Any, body: Any) -> bool:
        nonlocal moved
        done = self._assembly.add(part, body)
        if done is not None:
            queue.append(done)
        if queue and time.monotonic() - moved > 0.1:
            self.weights, moved = queue.pop(0), time.monotonic()
        return done is not None

    replace("robot_rl.runtime.weight_store:WeightStore.take", take)


@guard
def time_limits_are_not_terminal() -> None:
    """Out: `done` is stored where only a terminal state should be."""
    function: Any = None

    def done(record: Any, transition: Any) -> None:
        function(record, transition)
        record["terminated"] |= record["truncated"]

    function = replace("robot_rl.wire.actor_link:write_step", done)


@guard
def emergency_stop_latches() -> None:
    """Out: a stop lasts as long as the button is held."""
    replace("drivers.safe_robot:SafeRobot._latch", lambda self, reason: None)


@guard
def acknowledged_room_is_used_again() -> None:
    """Out: a full disk under the spool stays full, acknowledged or not."""
    replace("robot_rl.wire.spool:Spool._make_room", lambda self: None)
