"""The top of the command line, where every command is registered."""

from __future__ import annotations

from typing import Any

import click

from kohort.cli.door import App


def _version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from kohort import __version__

        click.echo(f"kohort {__version__}")
        context.exit()


@click.group(cls=App, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-w", "--workspace", metavar="FOLDER", help="Workspace folder (default: the current one).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, for programs.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def app(**_shared: Any) -> None:
    """Kohort: who your customers are, in groups that behave alike.

    \b
    Try it on a real shop:   kohort demo
    With your own files:     kohort init -w shop
                             kohort ingest -w shop orders.csv
                             kohort discover -w shop --adopt Main
    """
