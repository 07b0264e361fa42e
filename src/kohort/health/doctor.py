"""placeholder"""

from dataclasses import dataclass

from kohort.model.health import Severity


@dataclass(frozen=True, slots=True)
class Check:
    code: str
    ok: bool
    severity: Severity
    text: str
    fix: str = ""


def run_checks(root, store=None):
    return []
