"""Who may send what to the actors' address: by a key's role, or by what needs no key there."""

from __future__ import annotations

from robot_rl.wire import protocol as p
from robot_rl.wire.key_files import Role
from robot_rl.wire.sockets import Router


def refusal_of(router: Router, user: str, message: p.Message) -> str:
    """Why the holder of the public key `user` ("" without keys) may not send this, "" if it may.

    Without keys a TCP address takes what an actor sends. At a private ipc path there is only this
    user, who may command as well.
    """
    if router.allow is not None:
        key = router.key_of(user)
        if key is None:
            return router.allow.refusal(user)
        role, who = key.role, f"key '{key.name}'"
    else:
        role, who = Role.ACTOR, "an address without keys"
        if router.private and isinstance(message, p.PERMITS[Role.OPERATOR]):
            return ""
    if isinstance(message, p.PERMITS.get(role, ())):
        return ""
    kind = type(message).__name__
    return f"role '{role}' ({who}) may not send {kind}; valid: {p.permitted(role)}"
