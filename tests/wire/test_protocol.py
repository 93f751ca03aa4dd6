"""Messages, handshake, weights: what is read, what is refused, and with which words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_rl.errors import HandshakeError, PoisonedDataError, RobotRLError, WireError
from robot_rl.specs import MAX_RECORD, ArraySpec, EnvSpec
from robot_rl.testing.wire_harness import small_spec
from robot_rl.wire import handshake
from robot_rl.wire import protocol as p
from robot_rl.wire.record import record_dtype
from robot_rl.wire.weights import Assembly, FlatWeights, unpack

SPEC = small_spec()
EXTRAS = (ArraySpec("touch", (2,)),)


def as_spec(spec: EnvSpec) -> dict[str, object]:
    return {"schema": spec.sha256(), "spec": spec.to_json()}


def greeting(**changes: object) -> p.Hello:
    raw = {
        "magic": handshake.MAGIC,
        "protocol": handshake.PROTOCOL,
        "actor": "a",
        "epoch": 2**64 - 1,
        "sender": 1,
    }
    raw |= {"first_sequence": 0, "schema": SPEC.sha256(), "spec": SPEC.to_json()}
    return p.Hello(**(raw | changes))  # type: ignore[arg-type]


def test_messages_survive_the_wire() -> None:
    news = p.News("a", 2**63, 5, 6, 7, p.UNLIMITED, p.Control(1, p.ControlKind.STOP), -1)
    for message in (greeting(), p.Welcome(news), p.Data(), p.Get(3, 4), p.Refusal("no", True)):
        assert p.decode(p.encode(message)) == message
    assert p.encode(p.Data()) == p.DATA_HEAD


def test_one_wrong_bit_anywhere_makes_it_no_message() -> None:
    """A number read wrong in an acknowledgement would make the spool forget records."""
    news = p.News("a", 3, 500, 6, 7, 9000, p.Control(), 5)
    for message in (greeting(), p.Welcome(news), p.Ack("a", 3, 500), p.Grant(7), p.Get(3, 4)):
        head = p.encode(message)
        for bit in range(8 * len(head)):
            wrong = bytearray(head)
            wrong[bit // 8] ^= 1 << bit % 8
            with pytest.raises(WireError, match="CRC32C"):
                p.decode(bytes(wrong))
    for cut in range(len(head)):
        with pytest.raises(WireError, match="not a message"):
            p.decode(head[:cut])


@pytest.mark.parametrize("seed", range(3))
def test_random_heads_end_in_a_wire_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    good = p.encode(greeting())[: -p.SUM_BYTES]
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(int(rng.integers(1, 8))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        try:
            message = p.decode(p.sealed(bytes(data[: int(rng.integers(len(data) + 1))])))
            handshake.check_hello(message, SPEC) if isinstance(message, p.Hello) else None
        except RobotRLError:
            continue


@pytest.mark.parametrize(
    "spec", [b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"observation": [], "action": 3}']
)
def test_what_is_no_spec_is_refused(spec: bytes) -> None:
    with pytest.raises(RobotRLError, match="not an environment specification"):
        handshake.check_hello(greeting(spec=spec), SPEC)


def test_random_specs_end_in_a_typed_error() -> None:
    rng = np.random.default_rng(0)
    good = SPEC.to_json()
    accepted = 0
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(len(data)))] = int(rng.integers(32, 127))
        try:
            schema = EnvSpec.from_json(bytes(data)).sha256()
            spec = handshake.check_hello(greeting(spec=bytes(data), schema=schema), None)
        except RobotRLError:
            continue
        accepted += 1
        assert record_dtype(spec).itemsize <= MAX_RECORD, "what is accepted can be stored"
    assert 0 < accepted < 3000


def test_handshake_of_the_same_spec_is_accepted() -> None:
    assert handshake.check_hello(greeting(), SPEC) == SPEC
    assert handshake.check_hello(greeting(), None) == SPEC


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"magic": "agentlace"}, "magic 'agentlace'; valid: 'robot-rl'"),
        ({"protocol": 9}, "speaks wire protocol 9, this side 3: install the same"),
        ({"schema": "0" * 64}, "does not match its SHA-256"),
        (as_spec(replace(SPEC, command_layout=(("pose", 1 << 40),))), "command_layout"),
        (
            as_spec(replace(SPEC, command_layout=(("pose", 1 << 25),))),
            "records of about .* at most",
        ),
        (as_spec(replace(SPEC, action=ArraySpec("action", (7, 1)))), r"action shape \[7, 1\]"),
    ],
)
def test_handshake_refusals_say_why(changes: dict[str, object], why: str) -> None:
    with pytest.raises(HandshakeError, match=why):
        handshake.check_hello(greeting(**changes), SPEC)


@pytest.mark.parametrize("actor", ["", "x" * 33, "a/b", "a b", "ä", "a*", "../x"])
def test_actor_ids_name_files(actor: str) -> None:
    with pytest.raises(WireError, match="valid: 1 to 32 of a-z"):
        handshake.check_hello(greeting(actor=actor), SPEC)


@pytest.mark.parametrize(
    "message",
    [
        greeting(first_sequence=-1),
        greeting(first_sequence=2**63),
        greeting(epoch=-1),
        p.Grant(2**64 - 1),
        p.Pulse(2**64 - 1),
        p.Part(-1, 0, 0, 0, p.Table([], [])),
        p.Ack("a", 1, 2**64 - 1),
    ],
)
def test_numbers_that_no_field_holds_are_no_messages(message: p.Message) -> None:
    """A first sequence near 2**64 once ended ingest at the next chunk."""
    with pytest.raises(WireError, match="not a message"):
        p.decode(p.encode(message))


def test_all_differences_are_listed() -> None:
    facts = (("judged_reward", "dense"), ("only_there", "1"))
    layout = (("pose", 7), ("width", 2))
    other = replace(
        SPEC, rate_hz=30.0, action_frame="base", command_layout=layout, facts=facts, extras=EXTRAS
    )
    message = greeting(schema=other.sha256(), spec=other.to_json())
    with pytest.raises(HandshakeError) as caught:
        handshake.check_hello(message, SPEC)
    for text in (
        "rate_hz: 10.0 != 30.0",
        "action_frame:  != base",
        "command_layout: (('pose', 7), ('width', 1)) != (('pose', 7), ('width', 2))",
        "facts judged_reward: none != dense",
        "extras: () != (ArraySpec(name='touch'",
    ):
        assert text in str(caught.value)


def test_pairs_that_differ_are_never_taken_for_equal() -> None:
    def of(*pairs: tuple[str, str]) -> EnvSpec:
        return replace(SPEC, facts=pairs)

    one, two = ("a", "1"), ("b", "2")
    assert of(one, two).differences(of(one, ("b", "3"))) == ["facts b: 2 != 3"]
    for other in (of(two, one), of(one, one, two)):
        (line,) = of(one, two).differences(other)
        assert line.startswith("facts: ")
    assert of(one, two).differences(of(one, two)) == []


def pieces(flat: FlatWeights, size: int) -> list[tuple[p.Part, memoryview]]:
    return [flat.part(offset, size) for offset in range(0, len(flat.data), size)]


def test_weights_come_together_from_pieces() -> None:
    rng = np.random.default_rng(0)
    arrays = {"a": rng.standard_normal((7, 5)), "b": rng.standard_normal(3), "c": np.ones(())}
    flat = FlatWeights.pack(arrays, 4)
    assembly = Assembly()
    done = [assembly.add(*piece) for piece in pieces(flat, 40)]
    assert done[:-1] == [None] * (len(done) - 1)
    assert done[-1] is not None
    for name, array in done[-1].unpack().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, arrays[name].astype("f4"))


def test_newer_version_starts_over_and_lost_pieces_give_nothing() -> None:
    first = FlatWeights.pack({"a": np.ones(20)}, 1)
    second = FlatWeights.pack({"a": np.full(20, 2.0)}, 2)
    assembly = Assembly()
    assert assembly.add(*pieces(first, 40)[0]) is None
    assert assembly.add(*pieces(second, 40)[0]) is None
    assert assembly.add(*pieces(first, 40)[1]) is None
    done = assembly.add(*pieces(second, 40)[1])
    assert done is not None
    assert done.version == 2
    assert assembly.add(*pieces(first, 40)[1]) is None


def test_damaged_weights_are_refused() -> None:
    flat = FlatWeights.pack({"a": np.ones(20)}, 1)
    head, body = flat.part(0, 80)
    data = bytearray(body)
    data[3] ^= 1
    with pytest.raises(WireError, match="checksum"):
        Assembly().add(head, bytes(data))
    huge = p.Part(1, 0, 1 << 40, 0, p.Table(["a"], [[1 << 38]]))
    with pytest.raises(WireError, match="do not fit"):
        Assembly().add(huge, b"")
    with pytest.raises(WireError, match="negative"):
        unpack(p.Table(["a"], [[-1]]), b"")
    with pytest.raises(PoisonedDataError, match="'a' is not finite"):
        FlatWeights.pack({"a": np.array([1.0, np.inf])}, 1)
