"""Which tests run where. Continuous integration runs all of them; elsewhere a skipped test says what is missing."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

CI = os.environ.get("CI") == "true"
NIGHTLY = os.environ.get("KOHORT_NIGHTLY") == "true"
SHARED = Path(os.environ.get("KOHORT_SHARED", Path(__file__).parents[2] / "shared" / "data"))

# Continuous integration repeats the same examples, so that red means a change; a laptop looks for new ones.
settings.register_profile(
    "kohort", derandomize=CI, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("kohort")


PROGRAMS = {"spark": ("java",), "kafka": ("java", "mvn"), "browser": ("chromium",), "clients": ("npm",)}
MODULES = {"spark": "pyspark", "kafka": "confluent_kafka", "sources": "dlt"}
NAMES = {"java": "Java", "mvn": "Maven", "chromium": "Chromium"}


def missing(marker: str) -> str:
    """Why tests of this marker cannot run here, or an empty text."""
    if marker == "ci" and not CI:
        return "large volume: continuous integration runs it (CI=true)"
    if marker == "nightly" and not NIGHTLY:
        return "large volume: runs at night (KOHORT_NIGHTLY=true)"
    if marker == "shared" and not SHARED.is_dir():
        return f"the shared datasets are not at {SHARED.name!r} beside the project"
    if absent := [program for program in PROGRAMS.get(marker, ()) if not shutil.which(program)]:
        return f"{NAMES.get(absent[0], absent[0])} is not installed"
    if marker in MODULES and not importlib.util.find_spec(MODULES[marker]):
        return f"the extra `{marker}` is not installed"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in ("ci", "nightly", "spark", "kafka", "browser", "clients", "shared", "sources"):
            reason = missing(marker) if item.get_closest_marker(marker) else ""
            if reason and CI and marker not in ("shared", "nightly"):
                raise pytest.UsageError(f"CI must run every test, but {reason}")
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared public datasets."""
    return SHARED
