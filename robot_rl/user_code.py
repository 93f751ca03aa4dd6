"""Calls into a user's environment, wrapper or policy: what those raise becomes one line."""

from __future__ import annotations

from types import TracebackType

from robot_rl.errors import RobotRLError, UserCodeError


class UserCode:
    """`with UserCode("step of 'My-v0'"):` turns what the body raises into a UserCodeError.

    Errors of this project pass as they are, as do KeyboardInterrupt and SystemExit.
    """

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, RobotRLError):
            text = " ".join(str(error).split())[:300]
            name = type(error).__name__
            raise UserCodeError(f"{self.what} raised {name}: {text}") from error
