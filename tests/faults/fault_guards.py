"""All guards, registered; see fault_guard."""

from __future__ import annotations

import guards_actor
import guards_ingest
import guards_learner
import guards_security
import guards_spool
from fault_guard import GUARDS, disable, replace, without

MODULES = (guards_actor, guards_ingest, guards_learner, guards_security, guards_spool)

__all__ = ["GUARDS", "MODULES", "disable", "replace", "without"]
