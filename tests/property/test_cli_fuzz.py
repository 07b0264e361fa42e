"""Whatever is typed after `kohort`, it ends with 0, 1, 2 or 3 and a sentence: never a traceback, never a surprise."""

import json
import random
import re
from itertools import pairwise

import pytest
from click.testing import CliRunner

from kohort.cli.app import app

# `serve`, `demo` and `conformance` start long work where they succeed; they have their own tests.
COMMANDS = (
    "init ingest health features discover segments members report rejected doctor "
    "list show adopt run rename export retry "
    "add check preview diff why history overlap movement remove put take-out reset"
)
OPTIONS = (
    "--json --help -w --workspace --as --map --as-of --out --table --id --algorithm --k --micro --seed --adopt --limit "
    "--values --refresh --name --timezone --currency --business --version -h --no-such -x -- "
    "--rule --text --file --yes --segment --note --overlap --from --to --by"
)
PLAIN = (
    "orders.csv table.csv broken.parquet empty.csv folder shop missing.csv *.csv out.csv out.parquet out.json out.html "
    "auto kmeans mixture 2 3 0 -1 99999999999999999999 1e5 NaN events orders customers 2011-12-09 2011-13-45 "
    "9999-12-31 0001-01-01 Europe/London Mars/Base GBP gbp € Main s1 id visits no_such_column = + - @ "
    "orders>=2 did('order_line') did(*) month quarter 7 8 loyal"
)
ODD = (
    "recency_days <= 60 and not in_segment('loyal')",
    "did('order_line', within => '30 d",
    "select 1; --",
    "",
    " ",
    "a b",
    "\udce4",
    "\x1b[31m",
    "'; DROP TABLE x; --",
    "x" * 5_000,
    "日本",
    "{}",
    "%s",
    "...",
)
WORDS = (*COMMANDS.split(), *OPTIONS.split())
VALUES = (*PLAIN.split(), *ODD)


def argument_lists(seed, n):
    rng = random.Random(seed)
    for _ in range(n):
        size = rng.randint(0, 7)
        yield [rng.choice(WORDS) if rng.random() < 0.55 else rng.choice(VALUES) for _ in range(size)]


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """A folder with good, broken and empty files to stumble over."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("KOHORT_DEBUG", raising=False)
    rows = "\n".join(f"{i},{i % 7},{i % 3}" for i in range(40))
    (tmp_path / "table.csv").write_text(f"id,visits,orders\n{rows}\n")
    (tmp_path / "orders.csv").write_text(
        "order,customer,date,product,quantity,price\n1,7,2024-01-02,a,2,1.50\n2,8,2024-01-03,b,1,2.50\n"
    )
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing more")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "folder").mkdir()


SEGMENT_COMMANDS = (
    "add check preview diff why history overlap movement run remove put take-out reset list show rename adopt"
)
SEGMENT_VALUES = (
    "loyal", "value", "gold", "nothing", "7", "8", "orders >= 2", "did('order_line')", "in_segment('loyal')",
    "recency_days <=", "'; DROP TABLE x; --", "2024-01-02", "table.csv", "value.yaml", "-", "--yes", "--rule", "--text",
    "--file", "--as-of", "--json", "--segment", "--note", "--from", "--to", "--overlap", "--staying", *ODD,
)  # fmt: skip


def segment_calls(seed, n):
    """Calls that reach further: a workspace with data and definitions is there."""
    rng = random.Random(seed)
    for _ in range(n):
        some = [rng.choice(SEGMENT_VALUES) for _ in range(rng.randint(0, 4))]
        yield ["segments", rng.choice(SEGMENT_COMMANDS.split()), *some, "-w", "shop"]


def check(calls):
    for arguments in calls:
        told = CliRunner().invoke(app, arguments)
        where = f"kohort {arguments!r}\n{told.output[-2000:]}"
        assert told.exit_code in {0, 1, 2, 3}, where
        assert told.exception is None or isinstance(told.exception, SystemExit), where
        assert "Traceback" not in told.output, where
        assert not re.search(r"^unexpected: |\"unexpected\"", told.output, re.MULTILINE), where
        if wants_json(arguments):
            assert isinstance(json.loads(told.stdout), dict), where


def wants_json(arguments):
    """Whether `--json` is an option there, and not the value of the option before it or an argument after `--`."""
    if {"--", "--help", "-h", "--version"} & set(arguments):
        return False
    return any(a == "--json" and not before.startswith("-") for before, a in pairwise(["", *arguments]))


def test_random_arguments(somewhere):
    check(argument_lists(1, 150))


@pytest.mark.nightly
def test_many_random_arguments(somewhere):
    for seed in range(2, 42):
        check(argument_lists(seed, 50))


@pytest.fixture
def shop(somewhere, tmp_path):
    """A workspace with segments of two kinds, run once."""
    (tmp_path / "value.yaml").write_text("tiers: {gold: orders >= 3, other: did('order_line')}\n")
    for arguments in (
        ["init", "shop"],
        ["ingest", "-w", "shop", "orders.csv"],
        ["segments", "add", "loyal", "orders >= 1", "-w", "shop"],
        ["segments", "add", "value", "--file", "value.yaml", "-w", "shop"],
        ["segments", "run", "-w", "shop"],
    ):
        assert CliRunner().invoke(app, arguments).exit_code == 0, arguments


def test_random_arguments_about_segments(shop):
    check(segment_calls(1, 60))


@pytest.mark.nightly
def test_many_random_arguments_about_segments(shop):
    check(segment_calls(2, 2_000))
