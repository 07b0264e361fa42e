"""How quick the pages are: over real HTTP, with logins, on a workspace that a server keeps current.

    python bench/web.py                       1 million customers, 20 million events of history
    python bench/web.py --customers 20000     fewer
    python bench/web.py --minutes 5           for so long people walk about while events come in (5 where not said)
    python bench/web.py --dir D               keep the workspaces in D: they are made once
    python bench/web.py --only pages,previews,paint,people

The workspace of bench/live.py is copied once, so that others find it as it was made; groups are found and adopted in the
copy, a prediction is trained, and a user of each role is made. Nobody may serve the original meanwhile. The server is
`kohort serve`. *Server time* is what passes from the first byte of a request to the last one of its answer, on one machine
and one connection; the pages are asked for in turn, each by somebody of a role that looks at it. Memory is that of all
processes of the server together, pages that several share counted once: *own* without pages mapped from files, which the
system takes back.

Goals: every page p95 150 ms, previews 1 s; first contentful paint 1 s; 400 kB compressed on the first visit, 60 kB
after; memory 600 MB; 20 people while 200 events/s come in: no error, p95 400 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from live import Server, came_of, gauge, kohort, send, serving
from live_load import Load
from live_world import PEOPLE, world
from proc_tree import memory_mb, pids
from web_client import Answer, Kind, Person, Typing, counted, kinds
from web_walk import walk

CHROMIUM = os.environ.get("KOHORT_CHROMIUM", "/usr/bin/chromium")
NAMES = {
    "viewer": "Vic",
    "marketer": "Mia",
    "analyst": "Ann",
    "privacy-officer": "Pia",
    "administrator": "Ada",
}
MORE = """
  worth: {tiers: {gold: "amount_365d >= 500", silver: "amount_365d >= 100", bronze: "did('order_line')"}}
  life:
    stages:
      active: did('order_line', within => '90 days')
      sleeping: did('order_line', within => '1 year')
      lost: did('order_line')
"""
"""Definitions with several parts, which the workspace of bench/live.py has none of."""
SHARED = ("*.parquet",)
QUANTILES = (0.5, 0.95, 0.99)
EVENTS_PER_SECOND = 200
WALKERS = 20


# The workspace ------------------------------------------------------------------------------------------------------


def prepared(folder: Path, customers: int) -> Path:
    """The folder of the copy, with `keys.json` and `people.json`; made once."""
    made = folder / f"{customers}-web"
    if not (made / "people.json").exists():
        shutil.rmtree(made, ignore_errors=True)
        original = world(folder, customers)
        made.mkdir(parents=True, mode=0o700)
        shutil.copytree(original, made / "shop", copy_function=_copied)
        shutil.copy(original.parent / "keys.json", made / "keys.json")
        with (made / "shop" / "kohort.yaml").open("a") as file:
            file.write(MORE)
        # In a process of its own: what it takes in memory is gone before anything is measured.
        subprocess.run([sys.executable, __file__, "--prepare", str(made)], check=True)
    return made


def _copied(source: str, target: str) -> str:
    """Files that are never changed are shared."""
    if any(Path(source).match(pattern) for pattern in SHARED):
        os.link(source, target)
        return target
    return str(shutil.copy2(source, target))


def prepare(made: Path) -> None:
    """Finds and adopts groups, trains, and makes people."""
    import kohort
    from kohort.errors import KohortError

    people = {role: secrets.token_urlsafe(16) for role in NAMES}
    with kohort.open(made / "shop") as shop:
        for told, work in {
            "groups": lambda: shop.discover(algorithm="kmeans", k=6).adopt("Main"),
            "a prediction": lambda: (shop.predict.train(), shop.predict.keep()),
            "what customers are worth": lambda: (shop.predict.value.fit(), shop.predict.value.keep()),
        }.items():
            began = time.perf_counter()
            try:
                work()  # type: ignore[no-untyped-call]
                print(f"{told} in {time.perf_counter() - began:.0f} s", file=sys.stderr)
            except KohortError as error:
                print(f"{told}: {error.message}", file=sys.stderr)
        for role in sorted(people, key=lambda role: role != "administrator"):
            shop.users.add(NAMES[role], role, people[role], by="bench")
    (made / "people.json").write_text(json.dumps(people))


def logged_in(port: int, made: Path) -> dict[str, Person]:
    """Role → somebody of that role with a browser of her own."""
    people = {role: Person(port, name) for role, name in NAMES.items()}
    for role, password in json.loads((made / "people.json").read_text()).items():
        people[role].log_in(password)
    return people


# What is measured ---------------------------------------------------------------------------------------------------


class Memory:
    """What all processes of a server take together, looked at twice a second: at most, since the last `reset`."""

    def __init__(self, server: Server) -> None:
        self._pid = server.process.pid
        self.reset()
        threading.Thread(target=self._look, daemon=True).start()

    def reset(self) -> None:
        self.pss = self.own = 0.0

    def said(self) -> str:
        goal = "goal 600"
        return f"memory at most {self.own:.0f} MB own, {self.pss:.0f} MB with pages of files ({goal})"

    def _look(self) -> None:
        while True:
            found = [memory_mb(pid) for pid in pids(self._pid)]
            self.pss = max(self.pss, sum(pss for pss, _ in found))
            self.own = max(self.own, sum(own for _, own in found))
            time.sleep(0.5)


def quantiles(seconds: list[float]) -> tuple[float, ...]:
    """Milliseconds."""
    ordered = sorted(seconds)
    return tuple(1e3 * ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in QUANTILES)


def pages(people: dict[str, Person], found: list[Kind], rounds: int) -> None:
    """Every kind of page, in turn."""
    rng, took, last = Random(1), dict[str, list[float]](), dict[str, Answer]()
    wrong: dict[str, int] = {}
    for number in range(rounds):
        for kind in rng.sample(found, len(found)):
            answer = people[kind.who].get(kind.addresses[number % len(kind.addresses)])
            took.setdefault(kind.label, []).append(answer.seconds)
            last[kind.label] = answer
            if answer.status != 200:
                wrong[kind.label] = wrong.get(kind.label, 0) + 1
    print(f"\n{'page':<46}{'p50':>7}{'p95':>7}{'p99':>7} ms {'sent':>7}{'whole':>8} kB   (goal: p95 150 ms)")
    for label, seconds in sorted(took.items(), key=lambda item: -quantiles(item[1])[1]):
        p50, p95, p99 = quantiles(seconds)
        told = "  slow" if p95 > 150 else ""
        told += f"  {wrong[label]} errors" if label in wrong else ""
        weight = f"{last[label].sent / 1e3:>7.1f}{last[label].size / 1e3:>8.1f}"
        print(f"{label:<46}{p50:>7.0f}{p95:>7.0f}{p99:>7.0f}    {weight}   {told}")
    slow = [label for label, seconds in took.items() if quantiles(seconds)[1] > 150]
    print(f"{len(took) - len(slow)} of {len(took)} kinds of pages within the goal; {sum(wrong.values())} errors")
    print(f"all answers: {_line([one for seconds in took.values() for one in seconds])}", flush=True)


def previews(people: dict[str, Person], rounds: int) -> None:
    """The rule builder while somebody types."""
    typing, found = Typing(people["marketer"], Random(2)), list[Answer]()
    typing.open()
    for _ in range(rounds):
        found += typing.rule()
    missing = sum(not counted(answer) for answer in found)
    print(f"\npreviews of rules being typed (goal 1 s): {_line([a.seconds for a in found])}, {missing} without a count")
    slowest = max(answer.seconds for answer in found)
    print(f"  slowest {slowest:.2f} s, the first one {found[0].seconds:.2f} s", flush=True)


def paint(people: dict[str, Person], found: list[Kind]) -> None:
    """First contentful paint in Chromium, and what the browser fetched: with nothing kept, and once more."""
    from playwright.sync_api import sync_playwright

    wanted = ("/", "/segments", "/map", "/live", "/build", "/data-health", "/segments/{segment}", "/definitions/{name}")
    shown = [kind for kind in found if kind.label in (*wanted, "/customers/{code}", "/predictions/{name}")]
    print(f"\n{'in the browser':<34}{'first paint':>12}{'again':>8} ms{'first visit':>13}{'after':>8} kB")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        for kind in shown:
            visits = [_visits(chromium, people[kind.who], kind.addresses[0]) for _ in range(3)]
            first, again, weight, after = (median(values) for values in zip(*visits, strict=True))
            over = "  over" if first > 1_000 or again > 1_000 or weight > 400e3 or after > 60e3 else ""
            print(f"{kind.label:<34}{first:>12.0f}{again:>8.0f}   {weight / 1e3:>13.1f}{after / 1e3:>8.1f}   {over}")
        chromium.close()
    print("(goals: 1,000 ms, 400 kB, 60 kB)", flush=True)


_WEIGHT = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .reduce((sum, one) => sum + one.transferSize, 0)"""
_PAINT = """() => new Promise(done => {
  const look = () => {
    const found = performance.getEntriesByName('first-contentful-paint');
    found.length ? done(found[0].startTime) : setTimeout(look, 5);
  };
  look();
})"""


def _visits(chromium: Any, person: Person, address: str) -> tuple[float, float, float, float]:
    """Milliseconds and bytes of a first visit and of one more: paint, paint again, weight, weight again."""
    site = f"http://127.0.0.1:{person.port}"
    context = chromium.new_context()
    context.add_cookies([{"name": name, "value": value, "url": site} for name, value in person.cookies.items()])
    page, found = context.new_page(), []
    for _ in range(2):
        page.goto(f"{site}{address}", wait_until="load")
        found.append((page.evaluate(_PAINT), page.evaluate(_WEIGHT)))
    context.close()
    (first, weight), (again, after) = found
    return first, again, weight, after


def crowd(server: Server, made: Path, found: list[Kind], minutes: float, customers: int) -> None:
    """20 people walk through the pages while events come in."""
    passwords = json.loads((made / "people.json").read_text())
    people = min(PEOPLE, customers // 2)
    keys, seconds = json.loads((made / "keys.json").read_text()), 60 * minutes
    walkers = [Person(server.port, NAMES[role]) for role, _ in zip(_roles(), range(WALKERS), strict=False)]
    for walker, role in zip(walkers, _roles(), strict=False):
        walker.log_in(passwords[role])
    cpu, began = server.cpu(), time.perf_counter()
    sender = send(Load(server.port, keys, seconds, EVENTS_PER_SECOND, connections=16, people=people))
    steps = walk(list(zip(_roles(), walkers, strict=False)), found, seconds)
    sent, took = came_of(sender), time.perf_counter() - began
    used = server.cpu() - cpu
    print(
        f"\n{WALKERS} people for {minutes:g} minutes, {len(steps):,} answers, {sent['events']:,} events, {sent['statuses']}"
    )
    asked = [step.seconds for step in steps if step.label != "preview"]
    typed = [step.seconds for step in steps if step.label == "preview"]
    wrong = [step for step in steps if step.problem]
    print(f"  pages     {_line(asked)}   (goal: p95 400 ms)")
    if typed:
        print(f"  previews  {_line(typed)}   (goal: 1 s)")
    print(f"  errors    {len(wrong)}   {sorted({f'{step.label}: {step.problem}' for step in wrong})[:8]}")
    print(f"  server {used / took:.2f} CPU; confirmation of events p99 {quantiles(sent['answered'])[2]:.0f} ms")
    by_label: dict[str, list[float]] = {}
    for step in steps:
        by_label.setdefault(step.label, []).append(step.seconds)
    print("  slowest kinds, p95 ms:")
    for label, times in sorted(by_label.items(), key=lambda item: -quantiles(item[1])[1])[:8]:
        print(f"    {label:<46}{quantiles(times)[1]:>7.0f}   {len(times)} answers", flush=True)


def _roles() -> list[str]:
    """Of the people who walk about: mostly those who work with segments."""
    each = ("marketer", "marketer", "analyst", "viewer", "privacy-officer")
    return ["administrator", *(each * WALKERS)[: WALKERS - 1]]


def _line(seconds: list[float]) -> str:
    p50, p95, p99 = quantiles(seconds)
    return f"p50 {p50:.0f} ms  p95 {p95:.0f} ms  p99 {p99:.0f} ms  of {len(seconds):,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "kohort-bench-live")
    parser.add_argument("--only", default="pages,previews,paint,people")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        prepare(options.prepare)
        return
    only = options.only.split(",")
    made = prepared(options.dir, options.customers)
    print(
        f"{options.customers:,} customers, {20 * options.customers:,} events, 50 features, 33 segments and found groups"
    )
    print(f"this machine: ten million additions in plain Python in {gauge():.2f} s", flush=True)
    with serving(kohort(made / "shop")) as server:
        current = server.ready_seconds + server.wait_until_current()
        memory = Memory(server)
        people = logged_in(server.port, made)
        began = time.perf_counter()
        people["viewer"].get("/")
        first = time.perf_counter() - began
        warm = server.wait_until_warm()
        print(
            f"answers after {server.ready_seconds:.1f} s, members current after {current:.1f} s; first page {first:.1f} s"
        )
        print(f"looked at everything {warm:.0f} s later; {memory.said()}", flush=True)
        memory.reset()
        found = kinds(people)
        if "pages" in only:
            pages(people, found, options.rounds)
        if "previews" in only:
            previews(people, max(1, options.rounds // 4))
        print(memory.said(), flush=True)
        if "paint" in only:
            paint(people, found)
        if "people" in only:
            memory.reset()
            crowd(server, made, found, options.minutes, options.customers)
            print(f"  {memory.said()}", flush=True)


if __name__ == "__main__":
    main()
