"""Asking for help loads nothing heavy, whatever the machine is doing meanwhile."""

import subprocess
import sys

import pytest

HEAVY = {
    "numpy",
    "pandas",
    "pyarrow",
    "duckdb",
    "sklearn",
    "scipy",
    "ibis",
    "sqlalchemy",
    "deltalake",
    "rich",
    "fastapi",
}
HEAVY |= {"uvicorn", "yaml", "sqlglot", "cryptography", "jinja2", "alembic", "asyncio"}


def loaded(*arguments: str) -> set[str]:
    command = [sys.executable, "-X", "importtime", "-m", "kohort", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    names = (line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("arguments", [["--help"], ["discover", "--help"], ["segments", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    found = loaded(*arguments)
    assert "click" in found
    assert not found & HEAVY


def test_the_check_can_fail(tmp_path):
    table = tmp_path / "empty.csv"
    table.write_text("")
    assert loaded("discover", "--table", str(table)) & HEAVY
