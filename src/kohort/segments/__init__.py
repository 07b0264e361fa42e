"""Segments of every kind: definitions are run, adopted segmentations place people, and both have members and history.

| modules | idea |
|---|---|
| `run_rules`, `evaluate`, `on_spark`, `dependencies`, `definitions` | definitions become members, in one step |
| `by_hand`, `remove`, `accounts` | people's decisions, removal, accounts as members |
| `preview`, `dry_run`, `overlap`, `listing` | before saving, between segments, all of them |
| `why`, `next_change`, `suggest` | one customer: why, what is missing, what time will change |
| `migration`, `hysteresis`, `alarms` | movement of definitions |
| `adopt`, `some`, `take_back`, `adopted`, `match`, `record`, `movement` | what discovery found, under ids and names that last |

Exported here is what concerns adopted segmentations; the others are imported by module, see docs/segments.md.
"""

from __future__ import annotations

from kohort.segments.adopt import adopt, members, rename, run
from kohort.segments.adopted import Adopted, Assigner, adopted
from kohort.segments.movement import Movement
from kohort.segments.take_back import take_back

__all__ = ["Adopted", "Assigner", "Movement", "adopt", "adopted", "members", "rename", "run", "take_back"]
