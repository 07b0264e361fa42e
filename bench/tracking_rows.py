"""How long an event takes from the bytes of a batch to rows of the event table: `python bench/tracking_rows.py`.

Batches of 100 events of a web shop, as SDKs send them: eleven properties, a page, a campaign, a user agent. The best and the
middle of all batches are shown; the vault is one in memory.
"""

from __future__ import annotations

import json
import random
import time
import uuid

from kohort.ingest.memory import MemoryVault
from kohort.ingest.tracking import Normaliser, frame_arrivals

NOW = 1_750_000_000_000_000
BATCH, BATCHES, ROUNDS = 100, 100, 4
META = {"received_us": NOW, "source": "web", "path": "/v1/batch"}


def event(rng: random.Random) -> dict[str, object]:
    product = rng.randrange(3_000)
    return {
        "type": "track",
        "event": "Product Added",
        "messageId": str(uuid.UUID(int=rng.getrandbits(128))),
        "timestamp": f"2025-06-15T15:06:{rng.randrange(40):02}.{rng.randrange(1_000):03}Z",
        "userId": f"user-{rng.randrange(50_000)}",
        "anonymousId": None,
        "integrations": {},
        "context": {
            "library": {"name": "analytics.js", "version": "2"},
            "locale": "da-DK",
            "timezone": "Europe/Copenhagen",
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64)",
            "page": {"path": f"/shop/{product}", "referrer": "https://search.example/", "title": "Shop"},
            "campaign": {"source": "news", "medium": "email"},
        },
        "properties": {
            "product_id": f"p{product}",
            "sku": f"s{product}",
            "name": f"Thing {product}",
            "category": f"c{product % 20}",
            "brand": f"b{product % 90}",
            "price": rng.randrange(100_000) / 100,
            "quantity": rng.randrange(1, 4),
            "coupon": "JUNE",
            "position": rng.randrange(30),
            "variant": "blue",
            "url": f"https://shop.example/shop/{product}?from=news",
        },
    }


def main() -> None:
    rng = random.Random(7)
    bodies = [
        json.dumps({"sentAt": "2025-06-15T15:06:40Z", "batch": [event(rng) for _ in range(BATCH)]}).encode()
        for _ in range(BATCHES)
    ]
    normaliser = Normaliser(MemoryVault(), {}, "Europe/Copenhagen", "DKK")
    reading, making = [], []
    for _ in range(ROUNDS):
        for n, body in enumerate(bodies):
            start = time.perf_counter()
            arrivals = frame_arrivals(body, META, n)
            read = time.perf_counter()
            made = normaliser.normalise(arrivals)
            making.append((time.perf_counter() - read) / BATCH * 1e6)
            reading.append((read - start) / BATCH * 1e6)
            assert made.table.num_rows == BATCH
    figures = {
        name: {"best_us": round(min(times), 1), "median_us": round(sorted(times)[len(times) // 2], 1)}
        for name, times in (("bytes to arrivals", reading), ("arrivals to rows", making))
    }
    print(json.dumps({"bytes_per_event": len(bodies[0]) // BATCH, "per event": figures}))


if __name__ == "__main__":
    main()
