"""Who may send what to the actors' address: by a key's role, or by what needs no key there."""

from __future__ import annotations

from robot_rl.wire import protocol as p
from robot_rl.wire.key_files import Role
from robot_rl.wire.sockets import Router

PERMITS: dict[Role, tuple[type[p.Message], ...]] = {
    Role.ACTOR: (p.Hello, p.Data, p.Beat, p.Get, p.Amend),
    Role.OPERATOR: (p.Ask, p.SetControl, p.Amend),
    Role.VIEWER: (p.Ask,),
}
"""What the holder of a key may send to the actors' address; an actor amends its own episodes."""


def permitted(role: Role) -> str:
    """In words, for a refusal."""
    return ", ".join(kind.__name__ for kind in PERMITS.get(role, ())) or "nothing"


def permits(router: Router, user: str, kind: type[p.Message]) -> bool:
    """Whether the holder of a public key ("" without keys) may send messages of this kind."""
    if router.allow is None:
        return router.private or kind in PERMITS[Role.ACTOR]
    key = router.key_of(user)
    return key is not None and kind in PERMITS.get(key.role, ())


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
        if router.private and isinstance(message, PERMITS[Role.OPERATOR]):
            return ""
    if isinstance(message, PERMITS.get(role, ())):
        return ""
    kind = type(message).__name__
    return f"role '{role}' ({who}) may not send {kind}; valid: {permitted(role)}"
