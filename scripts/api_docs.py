"""Make docs/api.md anew from the description of the addresses for programs: python scripts/api_docs.py [--write]

Without --write it prints the page. A test compares it with the one that is there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI

from kohort.web.access import DEAR, TABLE, Rule
from kohort.web.api.description import describe
from kohort.web.api.problems import KNOWN
from kohort.web.api.routes import api_routes
from kohort.web.tracking.inbox import DEFAULTS

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
INTRO = f"""# The interface for programs

<!-- Made by scripts/api_docs.py from /v1/openapi.json: change what is said there. -->

What the pages show and do, for your programs: segments, groups that are found, features, customers, predictions, feedback, the health of
the data, deliveries, long work, and what people ask about their data. Your server describes all of it at `GET /v1/openapi.json`
(OpenAPI 3.1), from which clients can be made. Events are sent to [other addresses](tracking-http.md), and every
entry and exit comes as a [stream](live.md).

```sh
kohort keys add crm --scope read                # reads
kohort keys add deploy --scope admin            # reads and changes
curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8765/v1/segments/loyal
curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8765/v1/segments/preview -d '{{"rule": "did(*, at_least => 5)"}}'
curl -X PUT -H "Authorization: Bearer $ADMIN" -H "Idempotency-Key: $(uuidgen)" \\
     http://127.0.0.1:8765/v1/segments/loyal -d '{{"rule": "did(*, at_least => 5)"}}'
```

- **Keys.** One of scope `read` reads, one of scope `admin` changes things too, and reads the audit log, open
  questions about who is one customer, and what people asked about their data; one of scope `ingest` does neither. Bodies are JSON,
  whatever their `Content-Type` says, and 256 KiB at most.
- **A change is made once.** Send an `Idempotency-Key`, a word of your own for the request. Sent again with the same word, within 24
  hours and also after a restart, the request is answered as before (`Idempotency-Replayed: true`) and not carried out again; the
  same word with another request is refused. Only what was done is remembered: after a refusal the word is free. A request that
  was cut off in the middle, by a power cut say, keeps its word for ten minutes. After an error that nobody foresaw (500) it is not
  known whether the change was made: a repeat is answered by `outcome_unknown`. Look whether it was done, and send it with a new
  word if it was not.
- **Pages.** Where an answer has `next`, ask again with `cursor` set to it; null is the end.
- **How much.** A key has {DEFAULTS.points_per_second:,} points a second: a look-up costs one, what computes over everybody or changes
  something {DEAR}, and so does why something is predicted of a customer. `X-RateLimit-Limit`, `-Remaining` and `-Reset` say what
  is left; 429 comes with `Retry-After`.
- **Errors** are `{{"code", "message", "hint"}}`; of a definition that was refused also `mistakes`, each with its place. Codes are
  stable. Apart from a rule, no message repeats what was asked for. Answers may get more fields; a request with a field
  that is not known is refused.
- **Long work** (finding groups, training, running a large segment, erasing) is a job: it is begun with `POST /v1/jobs` (erasing: with the
  request for it), goes on when the connection ends, and `GET /v1/jobs/{{id}}` says how far it is and what came of it.
- **Who did what.** Changes, searches, and looks at why somebody is in a segment, who is likely, or what she agreed to are in the
  [audit log](security.md) under the name of the key. Customers are told by your own numbers; each can also be asked for by the code
  that stands for her (`c-…`), which belongs in an address better than a number that is an e-mail address: proxies log addresses.
- **Not here**: users and keys (a key cannot make another), files to be read in (`kohort ingest`, or the page `/start`), the map, and rows
  that could not be used, which hold what people wrote.
"""


def page() -> str:
    """The whole page."""
    app = FastAPI()
    api_routes(app, cast(Any, None), cast(Any, None))  # what is described does not depend on a workspace
    document = describe(app)
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            found.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    parts = [INTRO, *(_chapter(tag, lines, document) for tag, lines in found.items()), _errors()]
    return "\n".join(parts)


def _chapter(tag: str, lines: list[tuple[str, str, dict[str, Any]]], document: dict[str, Any]) -> str:
    head = [f"## {tag.capitalize()}", "", "| address | what it does | key | points |", "|---|---|---|---|"]
    rules = {(method, pattern.replace(":path}", "}")): rule for (method, pattern), rule in TABLE.items()}
    for method, path, operation in lines:
        rule = rules[method, path]
        head.append(f"| `{method} {path}` | {operation['summary']} | {rule.key or 'read'} | {_points(rule)} |")
    details = [_address(*line, document) for line in lines if line[1] != "/v1/stream"]
    return "\n".join([*head, "", *details])


def _points(rule: Rule) -> str:
    return f"{rule.cost}, with `{rule.dear}` {DEAR}" if rule.dear else str(rule.cost)


def _address(method: str, path: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    text = [f"### `{method} {path}`", "", operation["description"].strip(), ""]
    for one in operation.get("parameters", []):
        if one["in"] != "header":
            needed = ", needed" if one["required"] else ""
            about = f": {one['description']}" if one.get("description") else ""
            text.append(f"- `{one['name']}` ({one['in']}, {_type(one['schema'], document)}{needed}){about}")
    body = operation.get("requestBody")
    if body:
        schema = body["content"]["application/json"]["schema"]
        for one in schema.get("oneOf", [schema]):
            text += _fields("takes", _meant(one, document), document)
    answer = _meant(operation["responses"]["200"]["content"]["application/json"]["schema"], document)
    text += _fields("answers", answer, document)
    codes = sorted({code for known in operation["responses"].values() for code in _codes(known)} - _always())
    errors = [f"- errors: {', '.join(f'`{code}`' for code in codes)}"] if codes else []
    return "\n".join([*text, *errors, ""])


def _fields(what: str, schema: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """The fields of an object in one line, with their types; what is said of them below."""
    needed = set(schema.get("required", []))
    named = []
    for name, field in schema.get("properties", {}).items():
        optional = "" if what == "answers" or name in needed else "?"
        named.append(f"`{name}{optional}` {_type(field, document)}")
    return [f"- {what}: {', '.join(named)}"]


def _type(schema: dict[str, Any], document: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _type(_meant(schema, document), document)
    if "const" in schema:
        return str(schema["const"]).replace("True", "true")
    if "enum" in schema:
        return " or ".join(str(word) or '""' for word in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one, document) for one in schema["anyOf"]))
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), document)}"
    return {"string": "text", "boolean": "flag", "integer": "whole number"}.get(kind, kind)


def _meant(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return cast("dict[str, Any]", document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return schema


def _codes(response: dict[str, Any]) -> set[str]:
    return set(response.get("content", {}).get("application/json", {}).get("examples", {})) & KNOWN.keys()


def _always() -> set[str]:
    from kohort.web.api.desk import ALWAYS, CHANGES, WITH_BODY

    return {*ALWAYS, *CHANGES, *WITH_BODY, "no_such_address"}


def _errors() -> str:
    lines = [
        "## Errors",
        "",
        "Those of a refused rule or definition have narrower codes than `refused_definition`: [rules](rules.md) explains them.",
        "",
        "| status | code | for example | what to do |",
        "|---|---|---|---|",
    ]
    lines += [f"| {known.status} | `{code}` | {known.message} | {known.hint} |" for code, known in KNOWN.items()]
    return "\n".join([*lines, ""])


def main() -> None:
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main()
