"""A run's config.yaml: what is written, and how one that a stranger may have written is read.

YAML can ask for more than it holds: aliases and interpolations multiply, tags name Python objects,
resolvers read the environment. A stored config has none of these but plain references such as
`${..replay.utd}` to a single value or a list of values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from robot_rl.errors import ConfigError

MAX_BYTES = 1 << 16
MAX_DEPTH = 16
MAX_REFERENCES = 256
REFERENCE = re.compile(r"\$\{\.*[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*\}")
FLOAT = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")
"""Such as 3e-4, which OmegaConf reads as a number and YAML 1.1 as text."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain values only; in C where libyaml is there."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789."))


def save_config(cfg: DictConfig, path: Path) -> None:
    """Writes a config that `read_config` reads: what is no plain reference is resolved."""
    raw = OmegaConf.to_container(cfg, resolve=False)
    resolved = OmegaConf.to_container(cfg, resolve=True)
    OmegaConf.save(OmegaConf.create(_plain(raw, resolved, within_list=False)), path)


def read_config(path: Path) -> tuple[DictConfig, str]:
    """The config and its text; ConfigError says what is wrong with it."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes")
        text = path.read_bytes().decode()
        _check_events(text)
        raw = yaml.load(text, Loader=_Loader)
        if not isinstance(raw, dict):
            raise ConfigError(f"{path}: not a mapping")
        cfg = OmegaConf.create(raw)
        _check_references(cfg)
    except ConfigError:
        raise
    except FileNotFoundError as error:
        raise ConfigError(f"'{path.parent}' is no run ({path.name} is missing)") from error
    except (
        OmegaConfBaseException,
        yaml.YAMLError,
        OSError,
        ValueError,
        TypeError,
        RecursionError,
    ) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    return cfg, text


def _check_events(text: str) -> None:
    """No aliases, no tags, no deep nesting: before anything is made of the text."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ValueError(f"{_line(event)}: YAML anchors and aliases are not read")
        if getattr(event, "tag", None):
            raise ValueError(f"{_line(event)}: the YAML tag {event.tag} is not read")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"{_line(event)}: nested more than {MAX_DEPTH} deep")


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}"


def _check_references(cfg: DictConfig) -> None:
    found = list(_references(OmegaConf.to_container(cfg, resolve=False), (), within_list=False))
    if len(found) > MAX_REFERENCES:
        raise ValueError(f"{len(found)} references; at most {MAX_REFERENCES}")
    for place, text, within_list in found:
        if within_list or not REFERENCE.fullmatch(text):
            raise ValueError(f"'{text}'; valid: values, or references such as ${{..a.b}}")
        node: Any = cfg
        for key in place:
            node = node[key]
        if isinstance(node, DictConfig):
            raise ValueError(f"'{text}' refers to a mapping; valid: to a value or a list")


def _references(
    raw: Any, place: tuple[Any, ...], *, within_list: bool
) -> Iterator[tuple[tuple[Any, ...], str, bool]]:
    """Place, text and whether a list holds it, of every string that OmegaConf would look into."""
    if isinstance(raw, str) and "${" in raw:
        yield place, raw, within_list
    elif isinstance(raw, Mapping):
        for key, value in raw.items():
            yield from _references(value, (*place, key), within_list=within_list)
    elif isinstance(raw, list):
        for item in raw:
            yield from _references(item, place, within_list=True)


def _plain(raw: Any, resolved: Any, *, within_list: bool) -> Any:
    if isinstance(raw, Mapping):
        return {key: _plain(raw[key], resolved[key], within_list=within_list) for key in raw}
    if isinstance(raw, list):
        pairs = zip(raw, resolved, strict=True)
        return [_plain(item, value, within_list=True) for item, value in pairs]
    plain = isinstance(raw, str) and REFERENCE.fullmatch(raw)
    if plain and not within_list and not isinstance(resolved, Mapping):
        return raw
    return resolved
