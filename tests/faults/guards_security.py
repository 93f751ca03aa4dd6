"""Guards of who may come in: the allow-list, its re-reading, the roles, the holder of a session."""

from __future__ import annotations

from fault_guard import guard, replace


@guard
def allow_list() -> None:
    """Out: whoever knows the server's key is let in."""
    replace("robot_rl.wire.zap:AllowList.refusal", lambda *_: "")
    replace("robot_rl.ingest.actor_endpoint:refusal_of", lambda *_: "")


@guard
def allow_list_is_read_again() -> None:
    """Out: the list is what it was at the start."""
    replace("robot_rl.wire.zap:AllowList.look", lambda _: None)


@guard
def own_episodes_only() -> None:
    """Out: an actor may amend everybody's episodes."""
    replace("robot_rl.ingest.amendments:Amendments._refusal", lambda *_: "")


@guard
def roles() -> None:
    """Out: every key may do everything."""
    replace("robot_rl.ingest.actor_endpoint:refusal_of", lambda *_: "")
    replace("robot_rl.ingest.actor_endpoint:permits", lambda *_: True)
