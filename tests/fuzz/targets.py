"""Every fuzz target by name."""

from __future__ import annotations

import beside_targets
import folder_targets
import run_targets
import wire_targets
from guard import Target

MODULES = (wire_targets, folder_targets, beside_targets, run_targets)
TARGETS: dict[str, Target] = {target.name: target for part in MODULES for target in part.TARGETS}
