"""The picture in docs/architecture.md is the truth: imports point downwards only."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src" / "kohort"
LEVELS = [
    {"errors", "locale"},
    {"model"},
    {"definitions"},
    {"compile", "testing"},
    {"engines", "store"},
    {"ingest", "health", "identity"},
    {"segments"},
    {"discovery", "live", "predict", "trust"},
    {"actions"},
    {"views"},
    {"workspace"},
    {"cli", "web"},
]
RANK = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
HOME = {
    "ibis": {"compile"},
    "duckdb": {"engines"},
    "pyspark": {"engines"},
    "yaml": {"definitions"},
    "sqlglot": {"definitions"},
    "deltalake": {"store"},
    "dlt": {"ingest"},
    "requests": {"ingest"},
    "fsspec": {"ingest"},
    "sqlalchemy": {"ingest", "store"},
    "alembic": {"store"},
    "argon2": {"store"},
    "cryptography": {"store"},
    "python_calamine": {"ingest"},
    "currency_converter": {"ingest"},
    "crawleruseragents": {"ingest"},
    "py3langid": {"ingest"},
    "splink": {"identity"},
    "phonenumbers": {"identity"},
    "email_validator": {"identity"},
    "sklearn": {"discovery", "predict"},
    "scipy": {"discovery", "identity", "predict", "segments"},
    "openTSNE": {"discovery"},
    "babel": {"locale"},
    "jinja2": {"views"},
    "resvg_py": {"views"},
    "orjson": {"ingest", "live", "store", "web"},
    "confluent_kafka": {"live"},
    "fastavro": {"live"},
    "prometheus_client": {"live", "web"},
    "httptools": {"web"},
    "jwt": {"web"},
    "click": {"cli"},
    "rich": {"cli"},
    "fastapi": {"web"},
    "starlette": {"web"},
}


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write `from kohort.room import name`, never a relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def without_type_checking(tree: ast.Module) -> ast.Module:
    """The tree without `if TYPE_CHECKING:` blocks: a name in an annotation loads nothing."""

    class Drop(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                return None
            return self.generic_visit(node)

    return Drop().visit(tree)


def rooms_in(names: set[str]) -> set[str]:
    return {n.split(".")[1] for n in names if n.startswith("kohort.")} & RANK.keys()


def files() -> list[Path]:
    return [p for p in sorted(ROOT.rglob("*.py")) if p.parent != ROOT or p.stem in RANK]


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    names = imported(ast.parse(path.read_text()))
    allowed = {"model", "definitions", "errors"} if room == "testing" else {r for r in RANK if RANK[r] < RANK[room]}
    wrong = rooms_in(names) - {room} - allowed
    assert not wrong, f"{room} may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_libraries_have_one_home(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    tops = {n.split(".")[0] for n in imported(without_type_checking(ast.parse(path.read_text())))}
    away = {lib for lib, homes in HOME.items() if lib in tops and room not in homes}
    assert not away, f"{sorted(away)} may not be imported in {room}"


def test_every_room_has_a_level() -> None:
    found = {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    found |= {p.stem for p in ROOT.glob("*.py") if p.stem not in {"__init__", "__main__"}}
    assert found <= RANK.keys()


def test_the_check_can_fail() -> None:
    assert rooms_in(imported(ast.parse("from kohort.web.app import create\nimport kohort.model"))) == {"web", "model"}
