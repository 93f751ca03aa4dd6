"""A stored run may be a stranger's: what it asks to build must be named by one's own YAML files.

A run's config.yaml holds `_target_`s, each the name of something to import and call. Read back, it
may choose among what this machine's config folders name, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf

from robot_rl.errors import ConfigError, suggest


def check_targets(cfg: DictConfig, run: Path, folders: Sequence[Path]) -> None:
    """ConfigError naming the first `_target_` of a stored run that no own YAML file has."""
    known = known_targets(folders)
    for place, target in targets(OmegaConf.to_container(cfg, resolve=False)):
        if not isinstance(target, str) or target not in known:
            raise ConfigError(
                f"{run}/config.yaml: {place} names {target!r}, and none of your config files does: "
                "it is not imported. If it is yours, add its folder (--config-dir FOLDER, or "
                f"ROBOT_RL_CONFIG_DIR), or say so (--trust); {suggest(str(target), known)}"
            )


def known_targets(folders: Sequence[Path]) -> set[str]:
    """Every `_target_` in the YAML files of this package's configs and of `folders`."""
    found: set[str] = set()
    for folder in [Path(str(files("robot_rl.configs"))), *folders]:
        for path in sorted(folder.rglob("*.yaml")):
            try:
                content = yaml.safe_load(path.read_text())
            except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{path}: {error}") from error
            found |= {str(target) for _, target in targets(content)}
    return found


def targets(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """(where, value) of every `_target_`, at any depth, and of every wrapper named without one."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            here = f"{place}.{key}" if place else str(key)
            if key == "_target_":
                yield here, value
            elif key == "wrappers" and isinstance(value, list):
                for index, entry in enumerate(value):
                    if isinstance(entry, Mapping):
                        yield from targets(entry, f"{here}[{index}]")
                    else:
                        yield f"{here}[{index}]", entry
            else:
                yield from targets(value, here)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from targets(value, f"{place}[{index}]")
