"""Take the pictures of docs/screenshots, every page light and dark, wide and on a phone, and write docs/screens.md.

    python scripts/screenshots.py                 # makes the workspaces first (scripts/screens_shop.py): some minutes
    python scripts/screenshots.py --shops DIR     # keeps them in DIR, or takes those that are there
    python scripts/screenshots.py --shops DIR --only segment map --whole --out /tmp/look    # to look at: nothing cut off

Needs Chromium (KOHORT_CHROMIUM names it, /usr/bin/chromium by default) and the development dependencies.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from screens_shop import PASSWORD, USER, Shops, prepared

from kohort.model.serving import FIRST_VARIABLE, LOGIN_VARIABLE, word_digest

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "screens.md"
PICTURES = ROOT / "docs" / "screenshots"


@dataclass(frozen=True)
class Screen:
    """One page: its name in files, what it shows, and where it is; `{…}` is found out on the way."""

    name: str
    title: str
    path: str
    site: str = "shop"


SCREENS = (
    Screen("overview", "Overview", "/"),
    Screen("segments", "Segments", "/segments"),
    Screen("segment", "A segment that was found", "/segments/s1"),
    Screen("customers", "Its customers", "/segments/s1/customers"),
    Screen("map", "Map of all customers", "/map"),
    Screen("discover", "Discover: what was found and compared", "/discover"),
    Screen("own-segment", "A segment of your own: a rule", "/definitions/loyal"),
    Screen("own-levels", "A segment of your own: levels", "/definitions/value"),
    Screen("own-stages", "A segment of your own: stages", "/definitions/life"),
    Screen("own-customers", "Customers of a segment of your own", "/definitions/value/customers"),
    Screen("why", "Why a customer is in", "/definitions/loyal/customers/{first}"),
    Screen("why-not", "Why a customer is not in", "/definitions/slipping/customers/{first}"),
    Screen("build", "Build with rules", "/build/loyal"),
    Screen("build-new", "Build a new segment", "/build"),
    Screen("lifecycle", "Lifecycle", "/lifecycle"),
    Screen("customer-search", "Find a customer", "/customers"),
    Screen("customer", "One customer", "/customers/{first}"),
    Screen("predictions", "Predictions", "/predictions"),
    Screen("prediction", "One prediction", "/predictions/churn_90d"),
    Screen("likely", "Who is likely", "/predictions/churn_90d/customers"),
    Screen("value", "What customers will be worth", "/value"),
    Screen("value-customers", "Customers by what they will be worth", "/value/customers"),
    Screen("live", "Live", "/live"),
    Screen("digest", "Digest", "/digest?since=90d"),
    Screen("feedback", "What the team says", "/definitions/loyal/feedback"),
    Screen("check", "Check members by hand", "/definitions/loyal/check"),
    Screen("data-health", "Data health", "/data-health"),
    Screen("rejected", "Rejected rows", "/data-health/rejected"),
    Screen("cleaning-check", "Check a cleaning rule by hand", "/data-health/checks/tests"),
    Screen("identity", "Are they one customer?", "/identity"),
    Screen("privacy", "Privacy centre", "/privacy"),
    Screen("privacy-request", "A request", "/privacy/requests/2"),
    Screen("records", "Records of processing", "/privacy/records"),
    Screen("retention", "How long data is kept", "/privacy/retention"),
    Screen("settings", "Settings", "/settings"),
    Screen("audit-log", "Audit log", "/audit-log"),
    Screen("account", "Your account", "/account"),
    Screen("bring", "Bring more data", "/start"),
    Screen("login", "Log in", "/login", "door"),
    Screen("set-up", "The first user", "/set-up", "first"),
    Screen("start", "An empty workspace", "/", "empty"),
    Screen("mapping", "How a file is read", "{mapping}", "empty"),
    Screen("job", "Work that takes longer", "{job}", "empty"),
    Screen("find-groups", "Data is in, no groups yet", "/discover", "empty"),
)
SPOKEN = {"de": "German", "nl": "Dutch", "da": "Danish"}
IN_LANGUAGES = ("segments", "segment", "prediction")
SIZES = {"wide": (1440, 1000), "phone": (390, 844)}
TALLEST = {"wide": 1_150, "phone": 1_300}  # pixels; the rest of a long list shows nothing new
WHOLE = 6_000
QUALITY = 30  # of WebP: text of 14 pixels reads well
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@contextmanager
def served(place: Path, *, insist: bool = False) -> Iterator[str]:
    """The address of a server of this workspace for the time being."""
    import uvicorn

    import kohort
    from kohort.web.app import create

    os.environ[LOGIN_VARIABLE], os.environ[FIRST_VARIABLE] = ("yes", word_digest("ABCD-EFGH")) if insist else ("", "")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with kohort.open(place) as ws:
        server = uvicorn.Server(uvicorn.Config(create(ws), host="127.0.0.1", port=port, log_level="warning"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        end = time.monotonic() + 30
        while not server.started and time.monotonic() < end:
            thread.join(0.05)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(10)


class Camera:
    """Takes the pictures of one site."""

    def __init__(self, browser: Any, url: str, folder: Path, whole: bool) -> None:
        self._browser, self._url, self._folder, self._whole = browser, url, folder, whole
        self.found: dict[str, str] = {}

    @contextmanager
    def looking(self, size: str, scheme: str, language: str = "en", *, logged_in: bool) -> Iterator[Any]:
        width, height = SIZES[size]
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
            locale="en-GB" if language == "en" else language,
        )
        page = context.new_page()
        if logged_in:
            page.goto(f"{self._url}/login?language=en")
            page.fill("#name", USER)
            page.fill("#password", PASSWORD)
            page.click("form[action='/login'] button")
            page.wait_for_url(f"{self._url}/")
        page.goto(f"{self._url}/login?language={language}")
        yield page
        context.close()

    def take(self, page: Any, screen: Screen, look: str, size: str) -> None:
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.goto(self._url + screen.path.format(**self.found), wait_until="load")
        page.wait_for_function(
            "!document.querySelector('meta[http-equiv=refresh]') || location.pathname.startsWith('/jobs')"
        )
        tall = page.evaluate("document.documentElement.scrollHeight")
        most = WHOLE if self._whole else TALLEST[size]
        # The menu of a phone sits at the end of the picture then.
        page.set_viewport_size({"width": width, "height": max(height, min(tall, most))})
        out = self._folder / f"{screen.name}-{look}.webp"
        out.write_bytes(small(page.screenshot(animations="disabled")))
        sideways = page.evaluate("document.documentElement.scrollWidth") > width
        print(
            f"{out.name:36} {out.stat().st_size / 1000:4.0f} kB{'  scrolls sideways' if sideways else ''}", flush=True
        )


def small(png: bytes) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture, io.BytesIO() as kept:
        picture.convert("RGB").save(kept, "WEBP", quality=QUALITY, method=6)
        return kept.getvalue()


def looks() -> Iterator[tuple[str, str, str]]:
    """(name of the look, size, scheme)"""
    for size in SIZES:
        for scheme in ("light", "dark"):
            yield f"{size}-{scheme}", size, scheme


def a_member(camera: Camera) -> str:
    """The code of a customer who is in the segment `loyal`."""
    with camera.looking("wide", "light", logged_in=True) as page:
        page.goto(f"{camera._url}/definitions/loyal/customers")
        found = re.search(r"/customers/(c-[0-9a-f]+)", page.content())
    if found is None:
        sys.exit("Nobody is in the segment loyal.")
    return found[1]


def bring(camera: Camera, orders: Path) -> None:
    """A file is read in, and another one is looked at only: the pages of both."""
    with camera.looking("wide", "light", logged_in=False) as page:
        for name in ("job", "mapping"):
            page.goto(f"{camera._url}/start")
            page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
            page.set_input_files("#file", orders)
            page.click("form[action='/start/upload'] button")
            page.wait_for_url(re.compile("/start/."))
            if name == "job":
                page.click("form[method=post] button.primary")
                page.wait_for_url(re.compile("/jobs/"))
                camera.found["job"] = page.url.removeprefix(camera._url)
                page.wait_for_url(re.compile("read="), timeout=60_000)
            else:
                camera.found["mapping"] = page.url.removeprefix(camera._url)


def photograph(browser: Any, shops: Shops, options: argparse.Namespace) -> None:
    wanted = [one for one in SCREENS if not options.only or one.name in options.only]

    def of(*sites: str, names: tuple[str, ...] = ()) -> list[Screen]:
        return [one for one in wanted if one.site in sites and (not names or one.name in names)]

    def all_looks(camera: Camera, screens: list[Screen], *, logged_in: bool) -> None:
        for look, size, scheme in looks() if screens else ():
            if options.looks and look not in options.looks:
                continue
            with camera.looking(size, scheme, options.language, logged_in=logged_in) as page:
                for screen in screens:
                    camera.take(page, screen, look, size)

    with served(shops.shop) as url:
        camera = Camera(browser, url, options.out, options.whole)
        camera.found["first"] = a_member(camera)
        all_looks(camera, of("door"), logged_in=False)
        all_looks(camera, of("shop"), logged_in=True)
        for language in SPOKEN if not options.looks else ():
            with camera.looking("wide", "light", language, logged_in=True) as page:
                for screen in of("shop", names=IN_LANGUAGES):
                    camera.take(page, screen, f"wide-light-{language}", "wide")
    with served(shops.first, insist=True) as url:
        all_looks(Camera(browser, url, options.out, options.whole), of("first"), logged_in=False)
    if of("empty"):
        with tempfile.TemporaryDirectory() as again, served(copied(shops.empty, Path(again) / "empty")) as url:
            camera = Camera(browser, url, options.out, options.whole)
            all_looks(camera, of("empty", names=("start",)), logged_in=False)
            bring(camera, shops.orders)
            later = tuple(one.name for one in SCREENS if one.site == "empty" and one.name != "start")
            all_looks(camera, of("empty", names=later), logged_in=False)


def copied(place: Path, to: Path) -> Path:
    """What is brought into the copy is not there the next time."""
    return Path(shutil.copytree(place, to))


def table() -> str:
    """docs/screens.md."""
    lines = [
        "# Screens",
        "",
        "Every page of the web application, as `make docs` takes it: the bundled shop (a million lines of orders), invented names,",
        "a screen of 1440 pixels and a phone of 390. Long pages are cut off. How the pages are made: [web](web.md); what they say in other",
        "languages: [languages](languages.md).",
        "",
        "| | wide | | phone | |",
        "|---|---|---|---|---|",
    ]
    for screen in SCREENS:
        cells = [f"[{look.split('-')[1]}](screenshots/{screen.name}-{look}.webp)" for look, _, _ in looks()]
        lines.append(f"| [{screen.title}](screenshots/{screen.name}-wide-light.webp) | {' | '.join(cells)} |")
    lines += ["", "In other languages:", "", f"| | {' | '.join(SPOKEN.values())} |", "|---|---|---|---|"]
    titles = {screen.name: screen.title for screen in SCREENS}
    for name in IN_LANGUAGES:
        cells = [f"![{told}](screenshots/{name}-wide-light-{tag}.webp)" for tag, told in SPOKEN.items()]
        lines.append(f"| {titles[name]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=Path, help="folder of the workspaces; made where it is not there")
    parser.add_argument("--out", type=Path, default=PICTURES)
    parser.add_argument("--only", nargs="*", default=[], choices=sorted(one.name for one in SCREENS))
    parser.add_argument("--looks", nargs="*", default=[], choices=[look for look, _, _ in looks()])
    parser.add_argument("--language", default="en", choices=["en", *SPOKEN])
    parser.add_argument("--whole", action="store_true", help="cut nothing off")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        shops = prepared(options.shops or Path(made))
        chromium = os.environ.get("KOHORT_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        photograph(browser, shops, options)
        browser.close()
    if options.out == PICTURES:
        TABLE.write_text(table(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
