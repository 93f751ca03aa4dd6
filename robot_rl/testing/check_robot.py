"""What a robot must do, whoever wrote its driver: the conformance suite that every driver passes.

    check_robot(lambda: make_robot(...))                      # raises ConformanceError

or one pytest case a check:

    @pytest.mark.parametrize("check", ROBOT_CHECKS, ids=check_name)
    def test_my_robot(check):
        check(Probe(lambda: make_robot(...)))

The robot moves up to 5 cm and 0.2 rad around where it stands after `connect`; what it claims in
`capabilities` is tested, what it does not claim is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from robot_rl.errors import RobotRLError
from robot_rl.interfaces import Robot
from robot_rl.limits import Limits
from robot_rl.testing.robot_checks import ConformanceFailure, Probe
from robot_rl.testing.robot_device_checks import DEVICE_CHECKS
from robot_rl.testing.robot_safety_checks import SAFETY_CHECKS
from robot_rl.testing.robot_space_checks import SPACE_CHECKS
from robot_rl.testing.robot_stop_checks import STOP_CHECKS

Check = Callable[[Probe], None]
BARE_CHECKS: tuple[Check, ...] = (*DEVICE_CHECKS, *SPACE_CHECKS, *STOP_CHECKS)
ROBOT_CHECKS: tuple[Check, ...] = (*BARE_CHECKS, *SAFETY_CHECKS)
"""All checks; the second part is for robots behind their safety layer."""


class ConformanceError(RobotRLError):
    """A robot that fails checks; the message names each one and why."""


def check_name(check: Check) -> str:
    """`check_tracking` is called "tracking"."""
    return check.__name__.removeprefix("check_")


def check_robot(
    factory: Callable[[], Robot],
    *,
    limits: Sequence[Limits] | None = None,
    supervised: bool = True,
    checks: Sequence[Check] | None = None,
) -> tuple[str, ...]:
    """Runs every check on a fresh robot from `factory` (not connected); gives their names.

    limits: what each arm's setpoints are held to; `robot.limits` if left out. supervised: False for
    a bare device whose safety layer is elsewhere. Raises ConformanceError naming each failed check
    and why.
    """
    chosen = checks if checks is not None else ROBOT_CHECKS if supervised else BARE_CHECKS
    failures = []
    for check in chosen:
        probe = Probe(factory, limits)
        try:
            check(probe)
        except ConformanceFailure as error:
            failures.append(f"{check_name(check)}: {error}")
        except RobotRLError as error:
            failures.append(f"{check_name(check)}: {type(error).__name__}: {error}")
        with suppress(RobotRLError):  # a robot that failed may fail to close as well
            probe.close()
    if failures:
        listed = "\n  ".join(failures)
        raise ConformanceError(f"{len(failures)} of {len(chosen)} checks failed:\n  {listed}")
    return tuple(check_name(check) for check in chosen)
