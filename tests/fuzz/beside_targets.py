"""Fuzz targets that lie beside a log or a ring: quarantine, owners, a pause, a latest value."""

from __future__ import annotations

import numpy as np
import seal
from folder_targets import emptied
from guard import Target
from wire_targets import SPEC, record_chunk

from robot_rl.data.quarantine import FILE as QUARANTINE
from robot_rl.data.quarantine import Quarantine
from robot_rl.ingest.kept_pause import FILE as COMMAND
from robot_rl.ingest.kept_pause import KeptPause
from robot_rl.ingest.owners import FILE as OWNERS
from robot_rl.ingest.owners import Owners
from robot_rl.types import Action, LimitStage, Source, Step
from robot_rl.wire.chunk import ChunkKind, make_header
from robot_rl.wire.key_files import FORMAT, Key, Role
from robot_rl.wire.latest import LatestReader, LatestWriter
from robot_rl.wire.protocol import ControlKind, SetControl

PUBLIC = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"


def quarantine(data: bytes) -> None:
    """Recovered and gone on with; odd first byte: checksums true. Damage is kept aside."""
    folder = emptied("quarantine")
    raw = seal.chunks(data[1:]) if data[:1] and data[0] & 1 else data[1:]
    (folder / QUARANTINE).write_bytes(raw)
    found = Quarantine(folder)
    before = found.count
    if found.problem:
        (aside,) = folder.glob("*.damaged-*")
        assert aside.read_bytes() == raw, "recovery loses no byte"
    for life in list(found.sequences)[:3]:
        assert found.following(*life, 0) not in found.sequences[life]
    header = make_header(
        ChunkKind.RECORDS, b"x" * 24, actor="new", epoch=1, first_sequence=0, count=1,
        record_bytes=24,
    )  # fmt: skip
    found.add(header, b"x" * 24)
    found.close()
    assert Quarantine(folder).following("new", 1, 0) >= 1
    assert before <= len(raw)


def quarantine_seeds() -> list[bytes]:
    one, two = record_chunk(1, first=3), record_chunk(1, first=4)
    return [mode + item for item in (one, one + two, one + two[:-7]) for mode in (b"\0", b"\1")]


class Anybody:
    """An allow-list that knows everybody."""

    def refusal(self, public: str) -> str:
        return ""

    def find(self, public: str) -> None:
        return None


def owners(data: bytes) -> None:
    """Read, asked, gone on with."""
    folder = emptied("owners")
    (folder / OWNERS).write_bytes(data)
    found = Owners(folder)
    key = Key(FORMAT, "k", Role.ACTOR, PUBLIC, "")
    found.check("a", key, Anybody())  # type: ignore[arg-type]
    found.claim("a", key)
    Owners(folder).check("a", key, Anybody())  # type: ignore[arg-type]


def owners_seeds() -> list[bytes]:
    return [b"{}", b'{"a": "%s"}' % PUBLIC.encode(), b'{"a": "x", "b": "y"}', b'{"b": ""}']


def pause(data: bytes) -> None:
    """Read, taken back, given again."""
    folder = emptied("pause")
    (folder / COMMAND).write_bytes(data)
    found = KeptPause(folder)
    controls = found.controls()
    assert controls.paused, "a file that is read says so"
    found.keep(controls)
    again = KeptPause(folder).controls()
    assert {name: again.of(name).kind for name in again.named} == {
        name: controls.of(name).kind for name in controls.named
    }
    controls.set(SetControl(ControlKind.RUN))
    found.keep(controls)
    assert not KeptPause(folder).controls().paused
    controls.set(SetControl(ControlKind.PAUSE, "a"))
    found.keep(controls)
    assert KeptPause(folder).controls().of("a").kind is ControlKind.PAUSE


def pause_seeds() -> list[bytes]:
    return [
        b'{"command":"pause"}',
        b'{"command": "pause"}\n',
        b'{"command": "run"}',
        b'{"command":"run","actors":{"a":"pause"}}',
        b'{"command":"pause","actors":{"a":"run","b":"pause"}}',
        b"{}",
    ]


def latest(data: bytes) -> None:
    """A latest-value slot of any bytes: one moment, none, or refused in words."""
    folder = emptied("latest")
    (folder / "a.latest").write_bytes(data)
    reader = LatestReader(folder, "a")
    try:
        found = reader.read()
        if found is not None:
            assert set(found.step.stamps) == set(found.step.obs)
            assert found.age_s() is not None
    finally:
        reader.close()


def latest_seeds() -> list[bytes]:
    folder = emptied("latest")
    writer = LatestWriter(folder, "a", SPEC, arms=1, joints=2)
    file = folder / "a.latest"
    seeds = [file.read_bytes()]
    obs = {array.name: np.zeros(array.shape, array.dtype) for array in SPEC.observation}
    zeros = np.zeros(2, np.float32)
    step = Step(
        obs, {}, None, zeros, zeros, LimitStage.NONE, 0.0, 0, False, False, "", 1, 0, 3
    )  # fmt: skip
    writer.write(step, episode=0, index=0)
    seeds.append(file.read_bytes())
    action = Action(zeros, Source.POLICY, zeros, None, 0)
    writer.write(step, episode=0, index=1, action=action, version=3, value=0.5)
    seeds.append(file.read_bytes())
    writer.close()
    return seeds


SLOT = ("robot_rl.wire.latest", "robot_rl.wire.latest_layout")
TARGETS = (
    Target("latest", latest, latest_seeds, SLOT, max_len=4096),
    Target("quarantine", quarantine, quarantine_seeds, ("robot_rl.data.quarantine",), max_len=2048),
    Target("owners", owners, owners_seeds, ("robot_rl.ingest.owners",)),
    Target("pause", pause, pause_seeds, ("robot_rl.ingest.kept_pause",)),
)
