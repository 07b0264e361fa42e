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


def missing(marker: str) -> str:
    """Why tests of this marker cannot run here, or an empty text."""
    match marker:
        case "ci":
            return "" if CI else "large volume: continuous integration runs it (CI=true)"
        case "nightly":
            return "" if NIGHTLY else "large volume: runs at night (KOHORT_NIGHTLY=true)"
        case "spark" | "kafka":
            needs, module = (("java",), "pyspark") if marker == "spark" else (("java", "mvn"), "confluent_kafka")
            if absent := [program for program in needs if not shutil.which(program)]:
                return f"{absent[0]} is not installed"
            return "" if importlib.util.find_spec(module) else f"the extra `{marker}` is not installed"
        case "browser" | "clients":
            program, name = ("chromium", "Chromium") if marker == "browser" else ("npm", "npm")
            return "" if shutil.which(program) else f"{name} is not installed"
        case "shared":
            return "" if SHARED.is_dir() else f"the shared datasets are not at {SHARED.name!r} beside the project"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in ("ci", "nightly", "spark", "kafka", "browser", "clients", "shared"):
            reason = missing(marker) if item.get_closest_marker(marker) else ""
            if reason and CI and marker not in ("shared", "nightly"):
                raise pytest.UsageError(f"CI must run every test, but {reason}")
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared public datasets."""
    return SHARED
