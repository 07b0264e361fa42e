"""The snippets of docs/tracking-http.md, run as they stand there with another host and key."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.clients]

DOCS = (Path(__file__).parents[2] / "docs" / "tracking-http.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```(?:python|js)\n(.*?)^```$", DOCS, re.DOTALL | re.MULTILINE)
PACKAGES = [
    ("import segment", "segment-analytics-python==2.4.0"),
    ("import rudderstack", "rudder-sdk-python==2.1.9"),
    ("@segment/analytics-node", "@segment/analytics-node@3.1.0"),
    ("@rudderstack/rudder-sdk-node", "@rudderstack/rudder-sdk-node@3.0.13"),
]


def here(text: str, site) -> str:
    return text.replace("https://events.shop.example", site.url).replace("YOUR_WRITE_KEY", site.key)


@pytest.mark.parametrize("which", PACKAGES, ids=[p.rpartition("/")[2] for _, p in PACKAGES])
def test_a_snippet_delivers_its_event(site, python_with, node_with, tmp_path, which):
    mark, package = which
    shop = site()
    (snippet,) = [s for s in SNIPPETS if mark in s]
    if "==" in package:
        command = [python_with(package), "-c", here(snippet, shop)]
    else:
        command = ["node", "-e", here(snippet, shop)]
        tmp_path = node_with(package)
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60, capture_output=True)
    (event,) = shop.inbox.events
    assert (event["userId"], event["event"]) == ("customer-17", "Product Viewed")
    assert event["properties"] == {"product_id": "sku-1", "price": 49.9}


def test_curl_and_an_image_deliver_too(site, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    shop = site()
    (command,) = re.findall(r"`(curl -u .*?)`,", DOCS)
    (image,) = re.findall(r'<img src="([^"]+)">', DOCS)
    for one in (here(command, shop), f"curl --fail '{here(image, shop)}'"):
        subprocess.run(["bash", "-c", one], cwd=tmp_path, check=True, timeout=30, capture_output=True)
    assert [e["event"] for e in shop.inbox.events] == ["Product Viewed", "Mail Opened"]
    assert shop.inbox.events[1]["properties"] == {"mail": "7"}


def test_every_snippet_is_run():
    assert len(SNIPPETS) == len(PACKAGES)
