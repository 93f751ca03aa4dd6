"""Commands are run in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusals import Refused

from robot_rl.cli import main


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that must be refused; gives its one error line."""

    def run(*words: str) -> str:
        assert main(list(words)) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert "Traceback" not in "\n".join(lines)
        return lines[-1]

    return run
