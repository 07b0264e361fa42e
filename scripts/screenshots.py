"""Take the pictures of docs/screenshots: every page on desktop and phone, the main ones also dark.

    python scripts/screenshots.py http://127.0.0.1:8000     # a running `kohort serve`
    python scripts/screenshots.py path/to/workspace         # starts one for the time being

The pages of own segments need the definitions of docs/segments.md, run for some months; without them they are left out.

Needs Chromium (KOHORT_CHROMIUM names it, /usr/bin/chromium by default) and the development dependencies.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PAGES = {
    "overview": "/",
    "segments": "/segments",
    "segment": "/segments/s1",
    "customers": "/segments/s1/customers",
    "map": "/map",
    "discover": "/discover",
    "data-health": "/data-health",
    "own-segment": "/definitions/big",
    "own-levels": "/definitions/value",
    "own-customers": "/definitions/value/customers",
    "why": "/definitions/loyal/customers/{first}",
    "why-not": "/definitions/slipping/customers/{first}",
    "lifecycle": "/lifecycle",
}
LOOKS = {"desktop": ((1440, 900), "light"), "phone": ((390, 844), "light"), "dark": ((1440, 900), "dark")}
DARK = ("overview", "segment", "discover", "map", "own-segment", "why-not", "lifecycle")
LARGEST = 250_000  # bytes
TALLEST = 4_000  # pixels; the rest of a long list shows nothing new
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@contextmanager
def served(target: str) -> Iterator[str]:
    """The address of a running server, starting one where a folder was named."""
    if target.startswith(("http://", "https://")):
        yield target.rstrip("/")
        return
    import uvicorn

    from kohort.web.app import WORKSPACE_VARIABLE, create

    os.environ[WORKSPACE_VARIABLE] = target
    server = uvicorn.Server(uvicorn.Config(create(), host="127.0.0.1", port=8765, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for("http://127.0.0.1:8765/health")
    try:
        yield "http://127.0.0.1:8765"
    finally:
        server.should_exit = True
        thread.join(10)


def wait_for(url: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def shrink(path: Path) -> None:
    """Fewer colours until the picture is small enough; pages of flat colour lose nothing one can see."""
    try:
        from PIL import Image
    except ImportError:
        return
    with Image.open(path) as picture:
        full = picture.convert("RGB")
    for colours in (256, 128, 64):
        if path.stat().st_size < LARGEST:
            return
        # Maximum coverage keeps small patches of colour, such as the key of a segment; the default greys them.
        few = full.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
        few.save(path, optimize=True)


def address(url: str, path: str) -> str | None:
    """The address of a page, `{first}` being a customer who is in the segment `loyal`; None where there is no such page."""
    try:
        if "{first}" in path:
            with urllib.request.urlopen(f"{url}/definitions/loyal/customers", timeout=60) as answer:
                found = re.search(r"/customers/(c-[0-9a-f]+)", answer.read().decode())
            path = path.format(first=found[1] if found else "nobody")
        urllib.request.urlopen(url + path, timeout=60).close()
    except urllib.error.HTTPError:
        return None
    return url + path


def take(browser: Any, url: str, folder: Path, only: set[str]) -> None:
    for look, ((width, height), scheme) in LOOKS.items():
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        page = context.new_page()
        for name, path in PAGES.items():
            if (only and name not in only) or (look == "dark" and name not in DARK):
                continue
            place = address(url, path)
            if place is None:
                print(f"{name}: this workspace has no such page")
                continue
            page.set_viewport_size({"width": width, "height": height})
            page.goto(place, wait_until="load")
            tall = page.evaluate("document.documentElement.scrollHeight")
            page.set_viewport_size(
                {"width": width, "height": max(height, min(tall, TALLEST))}
            )  # so that the menu sits at the end
            out = folder / f"{name}-{look}.png"
            page.screenshot(path=out, animations="disabled")
            shrink(out)
            print(f"{out.name:28} {out.stat().st_size / 1000:6.0f} kB")
        context.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", help="address of a running server, or folder of a workspace")
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--only", nargs="*", default=[], choices=sorted(PAGES))
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    options.out.mkdir(parents=True, exist_ok=True)
    with served(options.target) as url, sync_playwright() as playwright:
        chromium = os.environ.get("KOHORT_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        take(browser, url, options.out, set(options.only))
        browser.close()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.SubprocessError as error:
        sys.exit(str(error))
