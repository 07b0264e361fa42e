"""The list of cases as Markdown, for docs/semantics.md.

`python -m kohort.testing.conformance.table docs/semantics.md` puts the current list into the page.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kohort.testing.conformance.case import Case, Refusal, lines
from kohort.testing.conformance.cases import PENDING, all_cases, all_refusals

BEGIN = "<!-- The list of cases begins: python -m kohort.testing.conformance.table docs/semantics.md -->"
MOST_SHOWN = 3
"""Lines of definitions that are shown."""

END = "<!-- The list of cases ends. -->"


def markdown() -> str:
    """Three tables: what is asked, what is refused, what is pending."""
    asked = [f"| {_code(c.code)} | {c.says} | {_rule(c)} |" for c in all_cases()]
    refused = [f"| {_code(r.code)} | {r.says} | {_written(r)} | `{r.error}` |" for r in all_refusals()]
    pending = [f"| {_code(p.code)} | {p.says} | {p.reason} |" for p in PENDING]
    return "\n".join(
        [
            f"### {len(asked)} that are asked",
            "",
            "| case | what it says | the rule |",
            "|---|---|---|",
            *asked,
            "",
            f"### {len(refused)} that are refused when they are saved",
            "",
            "| case | what it says | written | error |",
            "|---|---|---|---|",
            *refused,
            "",
            f"### {len(pending)} that cannot be asked yet",
            "",
            "| case | what it will say | why not yet |",
            "|---|---|---|",
            *pending,
        ]
    )


def replaced(page: str) -> str:
    """A page with the current list between its two marks.

    Raises:
        ValueError: The page has no such marks.
    """
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError("The page has no place for the list.")
    return f"{before}{BEGIN}\n\n{markdown()}\n\n{END}{after}"


def _code(code: str) -> str:
    covers, _, about = code.partition(":")
    return f"**{covers}**{about}"


def _rule(case: Case) -> str:
    """What a case defines; what is larger is told by its sentence."""
    written = lines(case.turns[0].segments or "")
    turns = [] if len(case.turns) == 1 else [f"{len(case.turns)} turns"]
    if len(written) > MOST_SHOWN:
        return ", ".join([f"{len(written)} lines", *turns])
    return "<br>".join([*(f"`{_cell(line.removeprefix('it: '))}`" for line in written), *turns])


def _written(refusal: Refusal) -> str:
    return "<br>".join(f"`{_cell(line)}`" for line in lines(refusal.segments))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_text(replaced(place.read_text(encoding="utf-8")), encoding="utf-8")
