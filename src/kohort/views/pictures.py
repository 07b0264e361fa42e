"""A chart as a file of its own: the drawing with its title and legend, its colours written into it, light or dark.

On a page the style sheet colours a drawing. A file has none, and many programs that open SVG files know little of style
sheets; so what the sheet says about the classes of a drawing is written on each element as plain attributes.
"""

from __future__ import annotations

import functools
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kohort.errors import MissingExtra
from kohort.views.plot import WIDE
from kohort.views.svg import CHAR_WIDTH, chart_styles, n, picture, text, wrap

if TYPE_CHECKING:
    from kohort.views.chart import Chart, Theme

Shade = Literal["light", "dark"]

_PAD, _LINE = 20.0, 18.0
_SVG = "http://www.w3.org/2000/svg"
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_DRAWS = frozenset(
    (
        *("fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity"),
        *("font-family", "font-size", "font-weight", "letter-spacing"),
    )
)
"""Properties that are attributes in SVG; of all others a drawing needs none."""


def standing_alone(chart: Chart, theme: Theme) -> str:
    """The text of an SVG file. See `Chart.svg`."""
    shade: Shade = "dark" if theme == "dark" else "light"
    root = ET.fromstring(_NOT_XML.sub("", _sheet(chart)))  # noqa: S314 - our own drawing, in which every text is escaped
    _resolve(root, (), shade)
    root.set("xmlns", _SVG)
    if theme == "auto":
        style = ET.Element("style")
        style.text = f"@media (prefers-color-scheme: dark) {{ {_dark()} }}"
        root.insert(0, style)
    return ET.tostring(root, encoding="unicode")


def pixels(svg: str, scale: float) -> bytes:
    """A PNG file of an SVG file.

    Raises:
        MissingExtra: resvg is not installed.
    """
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise MissingExtra("image", "A PNG file") from error
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg)
    width, height = (round(float(side) * scale) for side in size.groups()) if size else (None, None)
    return bytes(svg_to_bytes(svg_string=svg, width=width, height=height))


def _sheet(chart: Chart) -> str:
    """The drawing below its title and sentence, above its legend, on ground of its own; colours are classes still."""
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', chart.wide)
    w, h = (float(size[1]), float(size[2])) if size else (WIDE, 0.0)
    width = w + 2 * _PAD
    title = wrap(chart.title, w * 0.76, 2)  # 15 px, and strong
    told = wrap(chart.sentence, w, 4)
    parts = [f'<rect class="ground" x="0" y="0" width="{n(width)}" height="HEIGHT"/>']
    y = _PAD + 14
    for line in title:
        parts.append(f'<text class="t-title" x="{n(_PAD)}" y="{n(y)}">{text(line)}</text>')
        y += 20
    for line in told:
        parts.append(f'<text class="t-muted" x="{n(_PAD)}" y="{n(y)}">{text(line)}</text>')
        y += _LINE - 2
    y += 2
    inner = chart.wide[chart.wide.index(">") + 1 : chart.wide.rindex("</svg>")] if size else ""
    parts.append(f'<g transform="translate({n(_PAD)} {n(y)})">{inner}</g>')
    y += h
    if chart.keyed:
        rows, y = _legend(chart.legend, y + 10, w)
        parts += rows
    height = y + _PAD
    drawn = picture(width, height, chart.sentence, parts).replace("HEIGHT", n(height), 1)
    head = f'<svg width="{n(width)}" height="{n(height)}" '
    names = f"<title>{text(chart.title)}</title><desc>{text(chart.sentence)}</desc>"
    start = drawn.index(">") + 1
    return head + drawn[len("<svg ") : start] + names + drawn[start:]


def _legend(entries: Sequence[tuple[str, str, str]], y: float, width: float) -> tuple[list[str], float]:
    """Colour, letter and name of each part, as many in a line as there is room for; and where it ends."""
    parts, x = [], _PAD
    for letter, colour, name in entries:
        label = f"{letter}  {name}"
        size = 16 + len(label) * CHAR_WIDTH + 18
        if x + size > width + _PAD and x > _PAD:
            x, y = _PAD, y + _LINE
        parts.append(f'<rect class="fill {colour}" x="{n(x)}" y="{n(y)}" width="10" height="10" rx="2"/>')
        parts.append(f'<text x="{n(x + 16)}" y="{n(y + 9)}">{text(label)}</text>')
        x += size
    return parts, y + 12


# What the style sheet says -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """One step of a selector: an element's name, if any, and the classes it must have."""

    tag: str
    classes: frozenset[str]

    def fits(self, tag: str, classes: frozenset[str]) -> bool:
        return self.tag in ("", tag) and self.classes <= classes


@dataclass(frozen=True, slots=True)
class _Rule:
    """What one line of the sheet says of what it is about."""

    steps: tuple[_Part, ...]
    says: tuple[tuple[str, str], ...]

    @property
    def weight(self) -> tuple[int, int]:
        return sum(len(step.classes) for step in self.steps), sum(bool(step.tag) for step in self.steps)

    def fits(self, path: Sequence[tuple[str, frozenset[str]]]) -> bool:
        *above, last = self.steps
        if not last.fits(*path[-1]):
            return False
        places = iter(path[:-1])
        return all(any(step.fits(*place) for place in places) for step in above)


@functools.cache
def _colours(shade: Shade) -> dict[str, str]:
    """Name of a colour → its value in one shade; and the fonts."""
    sheet = chart_styles()
    pairs = re.findall(r"--([\w-]+):\s*light-dark\(\s*([^,()]+?)\s*,\s*([^,()]+?)\s*\)", sheet)
    found = {name: light if shade == "light" else dark for name, light, dark in pairs}
    fonts = re.search(r"--font:\s*([^;]+);", sheet)
    return found | {"font": fonts[1].replace('"', "'") if fonts else "sans-serif"}


def _lines() -> Iterator[tuple[str, str]]:
    """Selectors and what they say, of the part of the sheet that draws."""
    sheet = re.sub(r"/\*.*?\*/", "", chart_styles(), flags=re.DOTALL)
    blocks = re.findall(r"^\.kohort \{\n(.*?)^\}", sheet, flags=re.DOTALL | re.MULTILINE)
    for block in blocks:
        for selectors, says in re.findall(r"([^{};]+)\{([^{}]*)\}", block):
            yield selectors.strip(), says.strip()


@functools.cache
def _rules() -> tuple[_Rule, ...]:
    """The rules that say how something is drawn, the weightiest last."""
    found = [
        _Rule(tuple(_step(part) for part in selector.split()), _pairs(says))
        for selectors, says in _lines()
        for selector in selectors.split(",")
        if _pairs(says) and not re.search(r"[:>+~*\[]", selector)
    ]
    return tuple(sorted(found, key=lambda rule: rule.weight))


def _pairs(says: str) -> tuple[tuple[str, str], ...]:
    """What is said about how something is drawn; nothing where it is about something else."""
    pairs = [pair.split(":", 1) for pair in says.split(";") if ":" in pair]
    return tuple((k.strip(), v.strip()) for k, v in pairs if k.strip() in _DRAWS or k.strip() == "--c")


def _step(part: str) -> _Part:
    tag, *classes = part.strip().split(".")
    return _Part(tag, frozenset(classes))


@functools.cache
def _dark() -> str:
    """The same part of the sheet for those who prefer it dark: browsers know it, others show what is written on elements."""
    names = ";".join(f"--{name}:{value}" for name, value in _colours("dark").items())
    lines = "".join(f"{selectors}{{{says}}}" for selectors, says in _lines() if _pairs(says))
    return f":root{{{names}}}{lines}"


def _resolve(element: ET.Element, above: tuple[tuple[str, frozenset[str]], ...], shade: Shade, own: str = "") -> None:
    """Writes what the sheet says onto an element and everything in it.

    Args:
        own: The colour that the classes above have chosen.
    """
    tag = element.tag.rpartition("}")[2]
    path = (*above, (tag, frozenset((element.get("class") or "").split())))
    said: dict[str, str] = {}
    for rule in _rules():
        if rule.fits(path):
            said |= dict(rule.says)
    own = _value(said.pop("--c", own), shade, own)
    for name, value in said.items():
        written = _value(value, shade, own)
        if written:
            element.set(name, written.removesuffix("px"))
    for inner in element:
        _resolve(inner, path, shade, own)


def _value(says: str, shade: Shade, own: str) -> str:
    """A value without names."""
    named = re.fullmatch(r"var\(--([\w-]+)(?:,\s*var\(--([\w-]+)\))?\)", says)
    if named is None:
        return says
    name, otherwise = named[1], named[2]
    if name == "c":
        return own or (_colours(shade).get(otherwise or "", ""))
    return _colours(shade).get(name, "")
