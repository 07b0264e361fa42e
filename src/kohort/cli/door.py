"""What all commands share: options, one JSON object or a readable page on stdout, errors, exit codes, progress.

A command returns a `Result`; whether it is printed as JSON or for people is decided here, once.
"""

from __future__ import annotations

import functools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kohort.errors import KohortError, NeedsAnswer
from kohort.model.progress import Progress, silent

if TYPE_CHECKING:
    from kohort.cli.screen import Screen
    from kohort.workspace.workspace import Workspace

STOPPED = 130


@dataclass(frozen=True, slots=True)
class Result:
    """What a command found: `data` for machines, `show` for people, `code` the exit status.

    `then` runs after it was printed: the pages that `demo` ends with. `zone` is that of the moments people see.
    """

    data: dict[str, Any]
    show: Callable[[Screen], None]
    code: int = 0
    then: Callable[[], None] | None = None
    zone: str = "UTC"


class Door:
    """What a command is given beside its own options."""

    def __init__(self, folder: str, *, as_json: bool) -> None:
        self.folder = folder
        self.as_json = as_json

    def open(self) -> Workspace:
        """The workspace of `-w`, the current folder by default."""
        import kohort

        return kohort.open(self.folder)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Bars on stderr where somebody watches; silence elsewhere."""
        if self.as_json or not sys.stderr.isatty():
            yield silent
            return
        from kohort.cli.screen import bars

        with bars() as progress:
            yield progress

    def note(self, text: str) -> None:
        """One line on stderr for people."""
        click.echo(text, err=True)

    @property
    def notes(self) -> Screen:
        """A screen on stderr, for what people should see while the result goes to stdout."""
        from kohort.cli.screen import Screen

        return Screen(sys.stderr)

    def finish(self, result: Result) -> int:
        if self.as_json:
            print_json(result.data)
        else:
            from kohort.cli.screen import Screen

            result.show(Screen(sys.stdout, result.zone))
        if result.then is not None:
            sys.stdout.flush()
            result.then()
        return result.code


def command(group: click.Group, name: str, **attributes: Any) -> Callable[[Callable[..., Result]], click.Command]:
    """Register a function `(door, **options) -> Result` as a command with `-w` and `--json`."""

    def register(function: Callable[..., Result]) -> click.Command:
        @functools.wraps(function)
        def run(workspace: str | None, as_json: bool, **options: Any) -> int:
            shared = click.get_current_context().find_root().params
            door = Door(
                workspace or shared.get("workspace") or ".", as_json=as_json or bool(shared.get("as_json", False))
            )
            return door.finish(function(door, **options))

        for option in (workspace_option, json_option):
            run = option(run)
        return group.command(name, **attributes)(run)

    return register


workspace_option = click.option(
    "-w", "--workspace", metavar="FOLDER", help="Workspace folder (default: the current one)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, for programs.")


class App(click.Group):
    """The whole command line. Whatever happens ends in an exit code and, at worst, two lines on stderr."""

    def main(self, args: Any = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]
        given = [str(a) for a in (sys.argv[1:] if args is None else args)]
        as_json = "--json" in given
        extra.pop("standalone_mode", None)
        try:
            code = super().main(given, prog_name or "kohort", standalone_mode=False, **extra)
        except KohortError as error:
            code = refuse(error.as_dict(), error.exit_code, as_json=as_json, questions=questions_of(error))
        except click.exceptions.NoArgsIsHelpError as error:
            code = 0 if not as_json else refuse(no_command(error), 2, as_json=True)
            if not as_json:
                click.echo(error.format_message())
        except click.UsageError as error:
            code = refuse(usage(error), 2, as_json=as_json)
        except click.ClickException as error:
            code = refuse({"code": "failed", "message": error.format_message(), "hint": ""}, 1, as_json=as_json)
        except click.Abort:
            stopped = {"code": "stopped", "message": "Stopped.", "hint": "Run it again: nothing is half done."}
            code = refuse(stopped, STOPPED, as_json=as_json)
        except OSError as error:
            code = refuse(file_problem(error), 1, as_json=as_json)
        except Exception as error:
            if os.environ.get("KOHORT_DEBUG") == "1":
                raise
            code = refuse(unexpected(error, self, given), 1, as_json=as_json)
        sys.exit(code if isinstance(code, int) else 0)


def questions_of(error: KohortError) -> tuple[str, ...]:
    return error.questions if isinstance(error, NeedsAnswer) else ()


def refuse(error: Mapping[str, object], code: int, *, as_json: bool, questions: tuple[str, ...] = ()) -> int:
    """Print an error as `code: sentence` with its hint, or as JSON."""
    if as_json:
        print_json({"error": error})
        return code
    from kohort.cli.underline import explained

    message = str(error["message"])
    # Where each mistake is shown in its text, it need not be listed before.
    click.echo(
        f"{error['code']}: {clean(message.partition(chr(10))[0] if error.get('mistakes') else message)}", err=True
    )
    for question in questions:
        click.echo(f"  - {clean(question)}", err=True)
    for line in explained(error):
        click.echo(f"  {clean(line)}", err=True)
    if error.get("hint"):
        click.echo(f"  {clean(str(error['hint']))}", err=True)
    return code


def usage(error: click.UsageError) -> dict[str, object]:
    hint = f"Try: {error.ctx.command_path} --help" if error.ctx else "Try: kohort --help"
    return {"code": "wrong_usage", "message": error.format_message(), "hint": hint}


def no_command(error: click.UsageError) -> dict[str, object]:
    return {**usage(error), "message": "A command is missing."}


def file_problem(error: OSError) -> dict[str, object]:
    """What the system says about a file, by its name only."""
    name = Path(os.fsdecode(error.filename)).name if isinstance(error.filename, str | bytes) else "a file"
    reason = (error.strerror or "cannot be used").lower()
    return {"code": "file_problem", "message": f"{name}: {reason}.", "hint": "Check that it exists and may be used."}


def unexpected(error: Exception, app: click.Group, given: list[str]) -> dict[str, object]:
    """One line for people; the place in our code goes to a file that holds no values."""
    from kohort.cli.crash import write_details

    words = [a for a in given if a in app.commands]
    place = write_details(error, command=words[0] if words else "")
    return {
        "code": "unexpected",
        "message": f"Something went wrong that we did not foresee ({type(error).__name__}).",
        "hint": f"Where it happened is written in {place}. It holds none of your data; please send it to us.",
    }


def print_json(data: dict[str, Any]) -> None:
    """One JSON object on stdout; unknown numbers are null."""
    indent = 2 if sys.stdout.isatty() else None
    click.echo(json.dumps(plain(data), indent=indent, allow_nan=False, default=str))


def clean(text: str) -> str:
    """Text without control characters and half characters: file names and data must not steer the terminal.

    Example:
        >>> clean("a\\x1b[31mb")
        'a�[31mb'
    """
    return "".join("\ufffd" if _harmful(c) else c for c in text)


def _harmful(c: str) -> bool:
    return (c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff"


def plain(value: Any) -> Any:
    """A value that JSON has: unknown numbers are null, and those of other libraries numbers."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        return plain(value.item())
    return value
