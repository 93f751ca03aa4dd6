"""Quarantine: kept, found again, bounded, torn ends, damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_rl.data import quarantine as module
from robot_rl.data.quarantine import FILE, Quarantine
from robot_rl.wire.chunk import HEADER_BYTES, ChunkHeader, ChunkKind, make_header


def header(sequence: int, payload: bytes, *, actor: str = "a", epoch: int = 1) -> ChunkHeader:
    return make_header(
        ChunkKind.RECORDS,
        payload,
        actor=actor,
        epoch=epoch,
        first_sequence=sequence,
        count=1,
        record_bytes=len(payload),
    )


def put(quarantine: Quarantine, *sequences: int, size: int = 24, epoch: int = 1) -> None:
    for sequence in sequences:
        payload = bytes([sequence % 256]) * size
        assert quarantine.add(header(sequence, payload, epoch=epoch), payload)


def test_a_life_goes_on_behind_what_was_quarantined(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    put(quarantine, 4, 7, 8)
    put(quarantine, 0, epoch=2)
    quarantine.close()
    again = Quarantine(tmp_path)
    assert (again.count, Quarantine.count_in(tmp_path)) == (4, 4)
    assert [again.following("a", 1, n) for n in (4, 5, 7, 9)] == [5, 5, 9, 9]
    assert again.following("a", 2, 0) == 1
    assert again.following("b", 1, 4) == 4
    put(again, 9)
    again.close()
    assert Quarantine(tmp_path).following("a", 1, 7) == 10
    payload = bytes([7]) * 24
    assert payload in (tmp_path / FILE).read_bytes(), "a person can look at it"


def test_every_torn_end_is_cut_off(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    put(quarantine, 0, 1)
    quarantine.close()
    whole = (tmp_path / FILE).read_bytes()
    one = HEADER_BYTES + 24
    for size in range(one, 2 * one):
        (tmp_path / FILE).write_bytes(whole[:size])
        found = Quarantine(tmp_path)
        assert (found.count, found.problem) == (1, "")
        put(found, 1)
        found.close()
        assert (tmp_path / FILE).read_bytes() == whole


def test_damage_is_set_aside_and_said(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    put(quarantine, 0, 1)
    quarantine.close()
    data = bytearray((tmp_path / FILE).read_bytes())
    data[HEADER_BYTES + 3] ^= 0x5A
    (tmp_path / FILE).write_bytes(data)
    found = Quarantine(tmp_path)
    assert found.count == 0
    (aside,) = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes() == data
    assert str(aside) in found.problem
    put(found, 5)
    found.close()
    assert Quarantine(tmp_path).count == 1


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 3 * (HEADER_BYTES + 24))
    quarantine = Quarantine(tmp_path)
    put(quarantine, 0, 1, 2)
    payload = bytes(24)
    assert not quarantine.add(header(3, payload), payload)
    quarantine.close()
    assert (tmp_path / FILE).stat().st_size == 3 * (HEADER_BYTES + 24)
