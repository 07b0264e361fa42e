"""Erasing many people from a large workspace, then searching every file for them.

    python bench/live_world.py --customers 1000000 --dir WORLD     (20 million events; see there)
    python bench/erase.py WORLD/1000000/shop --people 1000

Works on a copy. The people are drawn from the vault, each with an e-mail address and a telephone number sealed; the vault is filled
up to a million people first. Printed: seconds of each step, the receipt's counts, peak memory, and what the search found
before and after.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import kohort


def fill(ws: kohort.Workspace, people: int) -> None:
    """People in the vault who have no events: it is to be as large as a shop's."""
    with sqlite3.connect(ws.root / "vault.db") as con:
        (there,) = con.execute("SELECT count(*) FROM person").fetchone()
    if there < people:
        ws.store.vault.customers([f"filler-{n:07}" for n in range(people - there)])


def drawn(ws: kohort.Workspace, people: int) -> tuple[list[str], list[int]]:
    """Numbers and pseudonyms of those to be erased; identifiers are sealed for each."""
    with sqlite3.connect(ws.root / "vault.db") as con:
        known = [row[0] for row in con.execute("SELECT customer FROM person ORDER BY customer")]
    refs = ws.store.vault.refs(known)
    own = [(ref, key) for ref, key in zip(refs, known, strict=True) if ref and not ref.startswith("filler-")]
    chosen = random.Random(5).sample(own, people)
    keys = [key for _, key in chosen]
    ws.store.vault.seal(keys, "email", [f"{ref}.erased@shop.example.com" for ref, _ in chosen])
    ws.store.vault.seal(keys, "phone", [f"+45 9{n:07}" for n in range(people)])
    return [ref for ref, _ in chosen], keys


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--vault", type=int, default=1_000_000, help="people in the vault")
    parser.add_argument("--search", choices=["both", "after", "none"], default="both")
    parser.add_argument("--dir", type=Path, help="where the copy goes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.dir) as folder:
        root = Path(folder) / "shop"
        shutil.copytree(asked.workspace, root)
        with kohort.open(root) as ws:
            fill(ws, asked.vault)
            refs, keys = drawn(ws, asked.people)
            emails = [f"{ref}.erased@shop.example.com" for ref in refs]
            found = {"before": searched(ws, emails, keys)} if asked.search == "both" else {}
            steps: list[tuple[str, float]] = []
            events, cpu, begun = ws.store.log.count(), time.process_time(), time.perf_counter()
            receipt = ws.privacy.erase(refs, progress=lambda text, _n, _of: steps.append((text, time.perf_counter())))
            seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
            print(f"erased in {seconds:.1f} s, {cpu:.1f} CPU s; searching", file=sys.stderr)
            if asked.search != "none":
                found["after"] = searched(ws, emails, keys)
        ends = [at for _, at in steps[1:]] + [begun + seconds]
        told = {text: round(end - at, 1) for (text, at), end in zip(steps, ends, strict=True)}
        facts = {
            "events": events,
            "people": receipt["people"],
            "seconds": round(seconds, 1),
            "cpu_seconds": round(cpu, 1),
        }
        facts |= {"steps": told, "stores": receipt["stores"], "search": found}
        print(json.dumps(facts | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}, indent=1))


def searched(ws: kohort.Workspace, emails: list[str], keys: list[int]) -> dict[str, float]:
    """How many of the people a search of every file finds."""
    begun = time.perf_counter()
    found = ws.privacy.scan(emails, keys)
    people = {hit.needle % len(keys) for hit in found.hits}
    taken = time.perf_counter() - begun
    facts = {"people_found": len(people), "hits": len(found.hits), "proves": found.proves}
    return {**facts, "mb": found.bytes >> 20, "seconds": round(taken, 1)}


if __name__ == "__main__":
    main()
