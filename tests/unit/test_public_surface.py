"""The root offers a dozen nouns and verbs, each documented, and importing it loads nothing heavy."""

import subprocess
import sys

import pytest

import kohort

HEAVY = {
    "numpy",
    "pandas",
    "pyarrow",
    "duckdb",
    "ibis",
    "sklearn",
    "scipy",
    "sqlalchemy",
    "fastapi",
    "deltalake",
    "rich",
}


@pytest.mark.parametrize("name", kohort.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    thing = getattr(kohort, name)
    assert thing.__doc__, f"kohort.{name} has no docstring"
    assert len(thing.__doc__.strip()) > 20


def test_dir_lists_the_public_names() -> None:
    assert set(kohort.__all__) <= set(dir(kohort))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kohort.nothing


def loaded(code: str) -> set[str]:
    program = f"import sys; {code}; print(' '.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_kohort_loads_no_heavy_library() -> None:
    assert loaded("import kohort") & HEAVY == set()


def test_the_check_for_heavy_libraries_can_fail() -> None:
    assert "numpy" in loaded("import kohort, numpy") & HEAVY
