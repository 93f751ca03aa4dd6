"""Every fuzz target by name."""

from __future__ import annotations

import folder_targets
import run_targets
import wire_targets
from guard import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (*wire_targets.TARGETS, *folder_targets.TARGETS, *run_targets.TARGETS)
}
