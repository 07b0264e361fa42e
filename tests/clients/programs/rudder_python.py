"""The RudderStack client for Python, as anybody would use it. What to send is in the environment; errors go to stdout."""

import json
import os

from rudderstack.analytics.client import Client

errors = []
client = Client(
    os.environ["WRITE_KEY"],
    host=os.environ["HOST"],
    gzip=os.environ.get("GZIP") != "0",
    on_error=lambda error, batch: errors.append(str(error)),
    max_retries=10,
    timeout=10,
)
for n in range(int(os.environ["ROUNDS"])):
    client.identify(f"u{n}", {"n": n, "name": "Zoë 🦊 \u2028 北京", "note": os.environ["PAD"]})
    client.track(f"u{n}", "Ürün görüldü", {"n": n, "price": 12.5, "colours": ["rot", "grün"]})
    client.page(f"u{n}", "Shop", "Stühle", {"n": n, "url": "https://shop.example/?q=ü"})
    client.screen(f"u{n}", "App", "Корзина", {"n": n})
    client.group(f"u{n}", f"g{n}", {"n": n, "plan": "größer"})
    client.alias(f"before-{n}", f"u{n}")
client.shutdown()
print(json.dumps({"errors": errors}))
