"""The one Jinja environment: everything escaped, nothing undefined, words, formats and charts within reach."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kohort import locale
from kohort.views import charts, words
from kohort.views.formats import UNKNOWN, formats
from kohort.views.said import said

STATIC = Path(str(resources.files("kohort.views").joinpath("static")))
TEMPLATES = Path(str(resources.files("kohort.views").joinpath("templates")))


INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z?")


@functools.cache
def digest(name: str) -> str:
    """What tells one content of a file beside the pages from another."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:16]


def asset(name: str) -> str:
    """Address of a file beside the pages. Another content has another address, so that browsers may keep it for good."""
    return f"/static/{name}?v={digest(name)}"


class _Here:
    """Figures in the language of what is being made; macros of imported files see it as well."""

    def __getattr__(self, name: str) -> Any:
        return getattr(formats(), name)


@functools.cache
def environment() -> Environment:
    """Templates of this package. Customer data is hostile: autoescape is on for every file, whatever its ending."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    env.policies["ext.i18n.trimmed"] = True
    env.install_gettext_callables(locale.find, locale.nfind, newstyle=True)  # type: ignore[attr-defined]
    env.globals.update(
        f=_Here(), find=locale.find, speech=locale, words=words, charts=charts, plain=plain, keys=keys, asset=asset
    )
    env.filters["address"] = lambda value: quote(str(value), safe="")  # one part of an address, slashes included
    env.filters["said"] = lambda value: said(str(value))
    env.filters["positive"] = lambda value: max(value or 0.0, 0.0)
    return env


def render(template: str, **values: Any) -> str:
    """A template with its values, as HTML, in the language of what is being made."""
    return environment().get_template(template).render(**values)


def keys(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every key of some rows, in the order met: rows may lack what they do not know."""
    return list(dict.fromkeys(k for row in rows for k in row))


def plain(value: object) -> str:
    """Any cell of a sample row, short enough for a table."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, bool):
        return formats().words["yes" if value else "no"]
    if isinstance(value, int | float):
        return formats().number(value, 0 if float(value).is_integer() else 2)
    text = str(value)
    if INSTANT.fullmatch(text):
        return formats().date_of(text)
    return text if len(text) <= 60 else text[:59] + "…"
