"""Nothing that people read stands outside of the marks: every text of pages can be looked up in another language."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

VIEWS = Path(__file__).parents[2] / "src" / "kohort" / "views"
TEMPLATES = sorted((VIEWS / "templates").glob("*.html"))
MODULES = sorted(path for path in VIEWS.glob("*.py") if path.name not in {"formats.py", "svg.py", "paper.py"})

READ = {"aria-label", "title", "alt", "placeholder", "data-l", "label", "data-confirm"}
"""Attributes that people read or hear."""
SAME = {"Kohort", "CSV", "Parquet", "PNG", "SVG", "JSON", "API", "CLI", "OK", "POST", "GET"}
"""Words that are the same in every language."""
TRANS = re.compile(r"{%-?\s*trans\b.*?{%-?\s*endtrans\s*-?%}", re.S)
CODE = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}", re.S)
EXPRESSION = re.compile(r"{%(?!-?\s*(?:import|include|extends|block|macro|from)\b)(.*?)%}|{{(.*?)}}", re.S)
LOOKED_UP = re.compile(r"\bn?gettext\(\s*((?:'[^']*'|\"[^\"]*\")\s*,?\s*)+", re.S)
QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
TAG = re.compile(r"<[^>]*>")
MARKING = {"gettext", "ngettext", "mark", "nmark"}
WORDS = re.compile(r"[A-Za-z]{2,}")


def reads(text: str) -> bool:
    """Whether there are words in it that somebody reads."""
    return any(word not in SAME for word in WORDS.findall(text))


class Texts(HTMLParser):
    """Texts and read attributes of what is left of a template without its code."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in {"code", "kbd", "style", "script", "pre"}
        # What a field for code shows as an example is code.
        read = READ - {"placeholder"} if "code" in (dict(attrs).get("class") or "").split() else READ
        self.found += [f"{name}={value}" for name, value in attrs if name in read and value and reads(value)]

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in {"code", "kbd", "style", "script", "pre"}

    def handle_data(self, data: str) -> None:
        if not self.silent and reads(data):
            self.found.append(" ".join(data.split()))


def of_template(text: str) -> list[str]:
    """What stands outside of `trans` and `gettext` in a template."""
    bare = TRANS.sub("", text)
    texts = Texts()
    texts.feed(CODE.sub("", bare))
    for match in EXPRESSION.finditer(bare):
        code = LOOKED_UP.sub("", match[1] or match[2] or "")
        # A sentence, or a word with a capital: names of fields and classes have neither.
        texts.found += [
            said
            for one, two in QUOTED.findall(code)
            if reads(said := TAG.sub("", one or two))
            and (re.search(r"[A-Za-z]{2,}[,.]? [A-Za-z]", said) or re.match(r"[A-Z][a-z]", said))
            and not re.fullmatch(r"[a-z0-9 -]*", said)
        ]
    return texts.found


class Sentences(ast.NodeVisitor):
    """Texts of a module that read like something for people and are not marked."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        for child in ast.iter_child_nodes(node):
            if name in MARKING and isinstance(child, ast.Constant):
                continue
            if name == "plural" and isinstance(child, ast.Constant):
                continue
            self.visit(child)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        """Values only: what something is looked up by, nobody reads."""
        for value in node.values:
            self.visit(value)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Errors are looked up where they are shown."""

    def visit_Assert(self, node: ast.Assert) -> None:
        """Nobody reads those."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        said = "{}".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        if sentence(said) or (
            not re.search(r"[<>=/#?&]", said) and re.search(r"(^|[ ,])[A-Za-z]{2,}[ ,.]|[ ][A-Za-z]{2,}$", said)
        ):
            self.found.append(said)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)
                # Catalogs are made of what is written outside of f-strings.
                self.found += [ast.unparse(call) for call in ast.walk(part.value) if _marks(call)]

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and sentence(node.value):
            self.found.append(node.value)


def _marks(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKING


def sentence(text: str) -> bool:
    """Several words that begin like a sentence or end like one, or one word with a capital."""
    if re.search(r"[<>{}=_\\]|--|://", text) or re.fullmatch(r"\S+/\S+", text) or not reads(text):
        return False
    return bool(
        re.match(r"[A-Z][a-z]+\b", text)
        or re.search(r"[a-z]{2,}[.!?]$", text)
        or len(re.findall(r"\b[a-z’']+\b", text)) > 2
    )


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_text_of_a_template_stands_outside_of_marks(path: Path) -> None:
    assert of_template(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_sentence_of_a_view_stands_outside_of_marks(path: Path) -> None:
    visitor = Sentences()
    visitor.visit(ast.parse(path.read_text("utf-8")))
    assert visitor.found == []


def test_the_check_sees_what_is_not_marked() -> None:
    assert of_template("<p>Hello there</p>") == ["Hello there"]
    assert of_template('<p aria-label="Hello"></p>') == ["aria-label=Hello"]
    assert of_template('{{ p.card("Hello there") }}') == ["Hello there"]
    assert of_template("{% trans %}Hello{% endtrans %}{{ gettext('Hello there') }}<b class=\"row s\">{{ n }}</b>") == []
    visitor = Sentences()
    visitor.visit(ast.parse("a = 'Hello there'; b = gettext('Hello there'); c = f'of {n} customers'; d = 'row s'"))
    assert visitor.found == ["Hello there", "of {} customers"]
