"""HTML from the templates beside this file; whatever is put into them is escaped."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape


def render(template: str, **values: Any) -> str:
    """A whole page."""
    return _ENVIRONMENT.get_template(template).render(values)


def _tight(text: str) -> Markup:
    """Escaped, and no line break between a number and its percent sign."""
    return Markup(str(escape(text)).replace(" %", "&nbsp;%"))


_ENVIRONMENT = Environment(
    loader=PackageLoader("robot_rl.report", ""),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["tight"] = _tight
