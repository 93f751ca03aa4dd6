"""What the actors are told to do: the newest command to everyone, and newer ones to single ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_rl.wire.protocol import Control, ControlKind, SetControl


@dataclass(slots=True)
class Controls:
    """Commands are counted over all addressees; one to everyone ends those to single actors."""

    everyone: Control = field(default_factory=Control)
    named: dict[str, Control] = field(default_factory=dict)
    number: int = 0

    def set(self, command: SetControl) -> None:
        """A person's or the learner's newest command."""
        self.number += 1
        control = Control(self.number, command.kind)
        if command.actor:
            self.named[command.actor] = control
        else:
            self.everyone = control
            self.named.clear()

    def of(self, actor: str) -> Control:
        """The newest command that an actor is meant by."""
        return self.named.get(actor, self.everyone)

    @property
    def paused(self) -> bool:
        """Whether anybody is told to pause."""
        kinds = [self.everyone.kind, *(control.kind for control in self.named.values())]
        return ControlKind.PAUSE in kinds
