"""How well machines are told from people: user agents by the list and by words, and visits by what they do.

    python bench/bots.py FOLDER

FOLDER holds `bot-lists/` (crawler-user-agents.json, browsers.jsonl), `apache-access-log/apache_logs.txt` and
`deskdrop-interactions/users_interactions.csv.zip`. Prints one JSON object; docs/controls.md shows its figures.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import random
import re
import sys
import time
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from kohort.engines.duck import connect
from kohort.health.behaviour import BUSY, RULES, VISITS
from kohort.ingest.controls.agents import Agents, compiled

LINE = re.compile(r'^(\S+) \S+ \S+ \[([^\]]+)\] "(?:\S+ )?(\S*)[^"]*" \d+ \S+ "([^"]*)" "([^"]*)"?$')
ASSET = re.compile(r"\.(?:css|js)(?:\?|$)", re.IGNORECASE)


def share(part: int, whole: int) -> dict[str, Any]:
    """Part of a whole with the 95 % interval after Wilson."""
    z = 1.96
    p = part / whole
    middle, wide = p + z * z / (2 * whole), z * (p * (1 - p) / whole + z * z / (4 * whole * whole)) ** 0.5
    scale = 1 + z * z / whole
    return {
        "share": round(p, 4),
        "low": round(max(0.0, (middle - wide) / scale), 4),
        "high": round(min(1.0, (middle + wide) / scale), 4),
        "of": whole,
    }


def on_the_list(folder: Path) -> dict[str, Any]:
    entries = json.loads((folder / "crawler-user-agents.json").read_text(encoding="utf-8"))
    browsers = {json.loads(line)["useragent"] for line in (folder / "browsers.jsonl").open(encoding="utf-8")}
    instances = [(n, agent) for n, entry in enumerate(entries) for agent in entry.get("instances", [])]
    agents = Agents()
    agents.kind("warm")
    begin = time.perf_counter()
    wrong = sum(bool(agents.kind(agent)) for agent in browsers)
    took = (time.perf_counter() - begin) / len(browsers)
    found = sum(bool(agents.kind(agent)) for _, agent in instances)
    return {
        "recall_same_list": share(found, len(instances)),
        "false_browsers": share(wrong, len(browsers)),
        "microseconds_new_agent": round(took * 1e6, 1),
        "recall_pattern_unknown": _held_out(entries, instances, Agents),
    }


def _held_out(entries: list[dict[str, Any]], instances: list[tuple[int, str]], make: Any) -> dict[str, Any]:
    """Each pattern in turn is unknown: a fifth of them is hidden, and only agents of hidden ones are asked for."""
    order = list(range(len(entries)))
    random.Random(1).shuffle(order)
    found = 0
    for fold in range(5):
        hidden = set(order[fold::5])
        judge = make(listed=compiled([entry for n, entry in enumerate(entries) if n not in hidden]))
        found += sum(bool(judge.kind(agent)) for n, agent in instances if n in hidden)
    return share(found, len(instances))


def on_a_log(path: Path) -> dict[str, Any]:
    """The truth comes from what a client did: who asked for robots.txt is a machine; who loaded style sheets or scripts
    for a page of the site, and never asked for robots.txt, is a browser."""
    clients: dict[tuple[str, str], list[tuple[int, str, str]]] = defaultdict(list)
    for text in path.open(encoding="utf-8", errors="replace"):
        if match := LINE.match(text.strip()):
            ip, when, url, referrer, agent = match.groups()
            at = dt.datetime.strptime(when, "%d/%b/%Y:%H:%M:%S %z")
            clients[ip, agent].append((int(at.timestamp() * 1e6), url, referrer))
    asked = {c for c, rows in clients.items() if any(url.split("?")[0] == "/robots.txt" for _, url, _ in rows)}
    loaded = {
        c
        for c, rows in clients.items()
        if c not in asked and sum(bool(ASSET.search(url)) and "semicomplete.com" in ref for _, url, ref in rows) >= 2
    }
    agents = Agents()
    machine = {client for client in clients if agents.kind(client[1])}
    acting = _acting({c: [t for t, url, _ in rows if not _is_part(url)] for c, rows in clients.items()})
    missed = asked - machine
    return {
        "requests": sum(map(len, clients.values())),
        "clients": len(clients),
        "machines_recognised": share(len(asked & machine), len(asked)),
        "their_requests_recognised": share(
            sum(len(clients[c]) for c in asked & machine), sum(len(clients[c]) for c in asked)
        ),
        "browsers_taken_for_machines": share(len(loaded & machine), len(loaded)),
        "which": sorted({agent for _, agent in loaded & machine}),
        "missed_agents": sorted({agent for _, agent in missed}),
        "machines_seen_by_behaviour": share(len(asked & acting), len(asked)),
        "missed_machines_seen_by_behaviour": len(missed & acting),
        "browsers_seen_by_behaviour": share(len(loaded & acting), len(loaded)),
    }


def _is_part(url: str) -> bool:
    return re.search(r"\.(?:css|js|png|jpe?g|gif|ico|svg|woff2?|ttf)(?:\?|$)", url, re.IGNORECASE) is not None


def on_people(path: Path) -> dict[str, Any]:
    """Employees who read on their intranet: whoever is found here is a person, but for a few who measured the site."""
    archive = zipfile.ZipFile(path)
    rows = list(csv.DictReader(io.TextIOWrapper(archive.open(archive.namelist()[0]), "utf-8")))
    names = {row["userAgent"] for row in rows if row["userAgent"]}
    agents = Agents()
    found = sorted(agent for agent in names if agents.kind(agent))
    views: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if row["eventType"] == "VIEW":
            views[row["personId"]].append(int(row["timestamp"]) * 1_000_000)
    return {
        "agents_taken_for_machines": share(len(found), len(names)),
        "which": found,
        "persons_seen_by_behaviour": share(len(_acting(views)), len(views)),
    }


def _acting(times: dict[Any, list[int]]) -> set[Any]:
    """Those of whom one visit looks like a machine's."""
    names = list(times)
    customer = [n for n, name in enumerate(names, 1) for _ in times[name]]
    ts = [t for name in names for t in times[name]]
    day = [t // 86_400_000_000 for t in ts]
    with connect(folders=()) as con:
        con.register(
            "visited", pa.table({"customer": customer, "ts": ts, "local_day": day, "event": ["page"] * len(ts)})
        )
        visits = VISITS.format(events="visited", busy=BUSY.format(events="visited"))
        rows = con.execute(f"SELECT DISTINCT customer FROM ({visits}) WHERE {' OR '.join(RULES)}").fetchall()
    return {names[n - 1] for (n,) in rows}


if __name__ == "__main__":
    data = Path(sys.argv[1])
    print(
        json.dumps(
            {
                "bot-lists": on_the_list(data / "bot-lists"),
                "apache-access-log": on_a_log(data / "apache-access-log" / "apache_logs.txt"),
                "deskdrop": on_people(data / "deskdrop-interactions" / "users_interactions.csv.zip"),
            },
            indent=1,
        )
    )
