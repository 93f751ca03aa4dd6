"""What an agent's options must be, checked before anything is built."""

from __future__ import annotations

import torch

from robot_rl.errors import ConfigError, SpecError
from robot_rl.specs import EnvSpec

PRECISIONS = ("auto", "float32", "bfloat16")


def check_spec(spec: EnvSpec, *, images: bool) -> None:
    """Raises SpecError where the observation has images and the agent takes none, or the other
    way round."""
    if spec.image_keys and not images:
        raise SpecError(
            f"{spec.name}: this agent takes no images, got {', '.join(spec.image_keys)}; "
            "valid: vectors only, or agent=rlpd_image"
        )
    if images and not spec.image_keys:
        raise SpecError(f"{spec.name}: no images in the observation; valid: agent=rlpd, agent=sac")


def check_options(
    device: str,
    precision: str,
    *,
    subset: int,
    critics: int,
    lr: float,
    bc_half_life: float | None,
) -> None:
    """Raises ConfigError naming the option and what is valid."""
    if not 1 <= subset <= critics:
        raise ConfigError(f"subset={subset}; valid: 1 … critics={critics}")
    if precision not in PRECISIONS:
        raise ConfigError(f"precision={precision!r}; valid: {', '.join(PRECISIONS)}")
    numbers = {"lr": lr, "bc_half_life": bc_half_life}
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise ConfigError(f"{name}={value}; valid: above 0")
    check_device(device)


def check_device(device: str) -> None:
    """Raises ConfigError on a device that torch does not have here."""
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ConfigError(f"device={device!r}; valid: cpu, cuda, cuda:<index>")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device={device!r}, but torch finds no CUDA device; valid: cpu")
