"""Every setting from the environment has its line in the docs."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_setting_has_a_line_and_every_line_a_setting() -> None:
    code = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py"))
    docs = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(KOHORT_\w+)`", docs, re.MULTILINE)) == set(
        re.findall(r"[\"'](KOHORT_\w+)[\"']", code)
    )
