"""Hydra configuration into objects: composing, checking, building from `_target_`.

Every mistake ends as one ConfigError that names the file and the key and says what is valid.
Targets come from local YAML only; no class is ever named by a message, a dataset or a checkpoint.
"""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from robot_rl.errors import ConfigError, suggest

GROUPS = (
    "robot",
    "task",
    "env",
    "env/action",
    "agent",
    "camera",
    "teleop",
    "judge",
    "wire",
    "experiment",
)
OPEN = ("kwargs", "reset_options")
"""Mappings whose keys are another's: env.kwargs.gravity=5 needs no `+`."""
SPECIAL = set("[]{}(),'\"\\$=:")
"""Characters with a meaning of their own in the value of a Hydra override."""


def load_config(
    overrides: Sequence[str] = (), *, name: str = "train", folders: Sequence[Path] = ()
) -> DictConfig:
    """Composes `configs/<name>.yaml` with Hydra overrides; `folders` add the user's own groups.

    Raises ConfigError on an unknown key or group choice, a malformed override or a missing file.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise ConfigError(f"config folder '{folder}' does not exist")
    search = [f"file://{Path(folder).resolve()}" for folder in folders]
    extra = [f"hydra.searchpath=[{','.join(search)}]"] if search else []
    GlobalHydra.instance().clear()
    with initialize_config_module(version_base="1.3", config_module="robot_rl.configs"):
        groups, values = _split(overrides)
        base = _compose(name, [*extra, *groups])
        checked = [_check_key(base, override, name) for override in values]
        return _compose(name, [*extra, *groups, *checked])


def _compose(name: str, overrides: Sequence[str]) -> DictConfig:
    try:
        cfg = compose(config_name=name, overrides=list(overrides), return_hydra_config=True)
        choices = dict(cfg.hydra.runtime.choices)
    except MissingConfigException as error:
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        options = suggest(choice, error.options or [])
        raise ConfigError(f"no '{choice}' in configs/{group}/: {options}") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_first_lines(error)) from error
    OmegaConf.set_struct(cfg, False)
    del cfg["hydra"]
    cfg["choices"] = {key: value for key, value in choices.items() if not key.startswith("hydra")}
    OmegaConf.set_struct(cfg, True)
    return cfg


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [
        line for line in lines if not line.startswith(("full_key", "object_type", "set_struct"))
    ]
    return " ".join(lines[:3]) or type(error).__name__


def _split(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    groups: list[str] = []
    values: list[str] = []
    for override in map(quoted, overrides):
        key = override.partition("=")[0].lstrip("+~").partition("@")[0]
        if "=" not in override:
            raise ConfigError(f"'{override}' is not an override; valid: key=value (see --help)")
        (groups if key in GROUPS else values).append(override)
    return groups, values


def quoted(override: str) -> str:
    """The override as Hydra reads it: a plain value with signs that it has no token for, such as
    ~ or letters beyond ASCII, is put in quotes. ConfigError where it cannot be read at all."""
    if "=" not in override:
        return override
    parser = OverridesParser.create()
    try:
        parser.parse_override(override)
    except HydraException as error:
        key, _, value = override.partition("=")
        if SPECIAL & set(value):
            raise ConfigError(
                f"'{override}': {_first_lines(error)}. In a shell, put quotes within quotes: "
                f"'{key}=\"…\"'"
            ) from error
        return f"{key}='{value}'"
    return override


def parse_value(override: str) -> Any:
    """The value of `key=value`, as Hydra reads it; ConfigError where it cannot be read."""
    parsed = OverridesParser.create().parse_override(quoted(override))
    if parsed.is_sweep_override():
        raise ConfigError(f"'{override}': several values; valid: one, or a list in brackets: [1,2]")
    return parsed.value()


def _check_key(base: DictConfig, override: str, name: str) -> str:
    """A plain `a.b=c` must name an existing key; `+a.b=c` may add one. Gives the override, with
    the `+` that a key of an open mapping needs."""
    parsed = OverridesParser.create().parse_override(override)
    if parsed.is_sweep_override():
        raise ConfigError(
            f"'{override}': several values; valid: one, a list in brackets: [1,2], or a sweep: "
            "robot-rl train -m"
        )
    if override.startswith(("+", "~")) or parsed.key_or_group.startswith("hydra."):
        return override
    node: Any = base
    parts = parsed.key_or_group.split(".")
    for depth, part in enumerate(parts):
        keys = [str(key) for key in node] if isinstance(node, DictConfig) else []
        if part not in keys:
            where = ".".join(parts[:depth])
            within = f"in '{where}' " if where else ""
            what = suggest(part, keys) if keys else f"'{where}' is a single value"
            source = config_file(base, parts[0], name)
            raise ConfigError(f"unknown key '{parsed.key_or_group}' {within}({source}): {what}")
        node = node._get_node(part)
        if part in OPEN and isinstance(node, DictConfig) and depth < len(parts) - 1:
            return f"++{override}"
    return override


def config_file(cfg: DictConfig, key: str, name: str = "train") -> str:
    """The YAML file that a top-level key comes from, for error messages."""
    choice = OmegaConf.select(cfg, f"choices.{key}")
    return f"configs/{key}/{choice}.yaml" if choice else f"configs/{name}.yaml"


def plain(node: DictConfig) -> dict[str, Any]:
    """A resolved dictionary; raises ConfigError on a broken interpolation or a missing value."""
    try:
        raw = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(_first_lines(error)) from error
    return typing.cast("dict[str, Any]", raw)


def section(cfg: DictConfig, key: str) -> DictConfig:
    """A group of settings; ConfigError where the config has none of that name."""
    node = cfg.get(key)
    if not isinstance(node, DictConfig):
        raise ConfigError(f"the config has no settings '{key}': {suggest(key, map(str, cfg))}")
    return node


def convert(raw: Mapping[str, Any], kind: type, where: str) -> Any:
    """A mapping as a typed dataclass; ConfigError names key, type found and valid type."""
    names = set(typing.get_type_hints(kind))
    for key in raw:
        if key not in names:  # a number, too, can be a key of YAML
            raise ConfigError(f"{where}: unknown key '{key}': {suggest(str(key), names)}")
    try:
        return msgspec.convert(whole_numbers(dict(raw)), kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {_readable(error)}") from error


def whole_numbers(value: Any) -> Any:
    """1e4 as 10000, within lists and mappings too: where a float is meant it becomes one again."""
    if isinstance(value, Mapping):
        return {key: whole_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _readable(error: msgspec.ValidationError) -> str:
    text, _, path = str(error).partition(" - at `$")
    return f"{path.strip('`.') or 'value'}: {text[0].lower()}{text[1:]}"


def target_class(node: Mapping[str, Any], where: str) -> Any:
    """The class or function that `_target_` names."""
    target = node.get("_target_")
    if not isinstance(target, str) or "." not in target:
        raise ConfigError(f"{where}: `_target_` is {target!r}; valid: package.module.Name")
    module_name, _, attribute = target.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{where}: `_target_` {target}: {error}") from error
    if not hasattr(module, attribute):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise ConfigError(
            f"{where}: no '{attribute}' in {module_name}: {suggest(attribute, public)}"
        )
    return getattr(module, attribute)


def build(node: DictConfig | Mapping[str, Any], where: str, **given: Any) -> Any:
    """Calls the node's `_target_` with its other keys and those of `given` that it takes.

    Each key is checked against the signature, its value against the annotation (numbers, strings,
    booleans, lists, tuples, optionals of these). Nested `_target_` nodes are built first.
    """
    raw = _mapping(node)
    call = target_class(raw, where)
    parameters = inspect.signature(call).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = _hints(call)
    arguments: dict[str, Any] = {}
    for key, value in raw.items():
        if key == "_target_":
            continue
        if key not in parameters and not open_ended:
            valid = [name for name in parameters if name not in given]
            raise ConfigError(
                f"{where}: '{key}' is no parameter of {raw['_target_']}: {suggest(key, valid)}"
            )
        arguments[key] = _value(value, hints.get(key), f"{where}: {key}")
    arguments |= {key: value for key, value in given.items() if key in parameters}
    missing = [
        name
        for name, p in parameters.items()
        if p.default is p.empty
        and name not in arguments
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if missing:
        raise ConfigError(f"{where}: {raw['_target_']} also needs {', '.join(missing)}")
    return call(**arguments)


def _mapping(node: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    return plain(node) if isinstance(node, DictConfig) else {str(k): v for k, v in node.items()}


def _hints(call: Any) -> dict[str, Any]:
    function = call.__init__ if inspect.isclass(call) else call
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):
        return {}


def _value(value: Any, hint: Any, where: str) -> Any:
    if isinstance(value, Mapping) and "_target_" in value:
        return build(value, where)
    if hint is None:
        return value
    try:
        return msgspec.convert(whole_numbers(value), hint)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {_readable(error)} (got {value!r})") from error
    except TypeError:
        return value
