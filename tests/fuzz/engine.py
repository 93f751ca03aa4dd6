"""One fuzzing process: feeds a target, keeps what breaks a promise, says what it has seen.

With atheris (the optional extra `fuzz`) libFuzzer chooses the inputs by coverage; else they are
random mutations of the seeds and the corpus. A finding is kept and the hunt goes on.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import resource
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import guard
from mutate import TOKENS, mutations

MEMORY_EVERY = 199
"""Inputs between two whose allocations are counted, which is slow; the corpus is counted whole."""
ADDRESS_SPACE = 1 << 30
"""Bytes that the process may grow by: one wild allocation ends in a MemoryError, a finding."""
SAVE_S = 2.0
MAX_FINDINGS = 50


@dataclass
class Hunt:
    """What one process found; written to `folder`/hunt.json while it runs."""

    target: guard.Target
    folder: Path
    engine: str
    inputs: int = 0
    slowest_s: float = 0.0
    peak_bytes: int = 0
    findings: dict[str, str] = field(default_factory=dict)
    """Cause to file name of the shortest input that shows it."""
    _began: float = field(default_factory=time.monotonic)
    _saved: float = 0.0
    _sizes: dict[str, int] = field(default_factory=dict)

    def one(self, data: bytes) -> None:
        """Runs an input; what is wrong is kept, never raised."""
        self.inputs += 1
        try:
            took = guard.run(self.target, data)
            if (
                took > self.slowest_s
                and (took := guard.settled(self.target, data)) > self.slowest_s
            ):
                self.slowest_s = took
                if took > guard.BUDGET_S:
                    self._keep("slow", data, f"{1000 * took:.1f} ms of CPU")
                (self.folder / "slowest.bin").write_bytes(data)
            if self.inputs % MEMORY_EVERY == 0:
                self.peak_bytes = max(self.peak_bytes, guard.check_memory(self.target, data))
        except guard.Finding as finding:
            self._keep(finding.key, data, str(finding))
        now = time.monotonic()
        if now - self._saved > SAVE_S:
            self.save()

    def save(self) -> None:
        self._saved = time.monotonic()
        found: dict[str, Any] = {
            "target": self.target.name,
            "engine": self.engine,
            "inputs": self.inputs,
            "seconds": round(self._saved - self._began, 1),
            "slowest_ms": round(1000 * self.slowest_s, 2),
            "peak_bytes": self.peak_bytes,
            "findings": self.findings,
        }
        aside = self.folder / ".hunt.json"
        aside.write_text(json.dumps(found))
        aside.replace(self.folder / "hunt.json")

    def _keep(self, key: str, data: bytes, text: str) -> None:
        known = self._sizes.get(key)
        if (known is None and len(self._sizes) >= MAX_FINDINGS) or (known or 1e9) <= len(data):
            return
        self._sizes[key] = len(data)
        name = hashlib.sha256(key.encode()).hexdigest()[:12]
        (self.folder / f"finding-{name}.bin").write_bytes(data)
        (self.folder / f"finding-{name}.txt").write_text(f"{key}\n{text}\n")
        self.findings[key] = f"finding-{name}.bin"


def hunt(target: guard.Target, folder: Path, *, seconds: int, inputs: int, seed: int) -> None:
    """Fuzzes for so many seconds or inputs (0: no bound), whichever ends first."""
    warnings.simplefilter("ignore")
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (what targets print; libFuzzer keeps fd 2)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
        with suppress(guard.Finding):
            guard.run(target, data)  # so that what is imported late is there
    _bound_memory()
    try:
        import atheris  # type: ignore[import-not-found]
    except ImportError:
        atheris = None
    found = Hunt(target, folder, "random" if atheris is None else "atheris")
    atexit.register(found.save)
    if atheris is None:
        known = [path.read_bytes() for path in sorted(corpus.iterdir())]
        end = time.monotonic() + (seconds or 1 << 40)
        for data in islice(mutations(known, target.max_len, seed), inputs or None):
            found.one(data)
            if time.monotonic() > end:
                break
        return
    words = folder / "words.dict"
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in TOKENS))
    limits = [f"-max_total_time={seconds}"] if seconds else []
    limits += [f"-runs={inputs}"] if inputs else []
    arguments = [*limits, f"-max_len={target.max_len}", f"-seed={seed}", "-timeout=60"]
    arguments += [f"-dict={words}", "-print_final_stats=1", "-rss_limit_mb=0", "-len_control=0"]
    arguments += [f"-artifact_prefix={folder}/", str(corpus)]
    atheris.Setup([sys.argv[0], *arguments], found.one, enable_python_coverage=True)
    atheris.Fuzz()


def _bound_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE, hard))


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02X}" for byte in token)
