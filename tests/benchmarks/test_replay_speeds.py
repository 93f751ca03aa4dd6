"""The benchmark of replay and log runs and measures every figure that it promises."""

from __future__ import annotations

from pathlib import Path

from areas.replay import run


def test_a_small_run_gives_every_figure(tmp_path: Path) -> None:
    figures = run(rows=3_000, image_rows=300, repeats=20, folder=tmp_path)
    expected = {
        "state_mixed_us",
        "state_mixed_arriving_us",
        "state_mixed_20_batches_us",
        "cameras_ms",
        "extend_1_per_s",
        "extend_64_per_s",
        "append_1_per_s",
        "append_64_per_s",
        "append_cameras_MB_per_s",
        "read_per_s",
    }
    assert expected <= set(figures)
    assert all(figures[name] > 0 for name in expected)
    assert 2 * 128 * 128 * 3 < figures["cameras_bytes_per_transition"] < 100_000
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"
