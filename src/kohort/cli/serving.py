"""Starting the pages. The socket is opened first, so that a port in use is one sentence and not a log."""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import socket
import sys
import threading
from pathlib import Path

from kohort.cli.logs import LOG_VARIABLE, How, set_up
from kohort.errors import BadInput, KohortError
from kohort.model.log import say
from kohort.model.oidc import here as provider_here
from kohort.model.serving import FIRST_VARIABLE, LOGIN_VARIABLE, PLAIN_VARIABLE, word_digest

APP = "kohort.web.app:create"
HTTP = "kohort.web.patience:Patient"
STREAMS_END = "kohort.web.stream:stop_all"
HALVES_END = "kohort.web.patience:let_go_of_halves"
AT_WORK = frozenset({"kohort-live", "kohort-keeping", "kohort-kept", "deliveries"})
"""Names of threads whose work is stored step by step, so that it may end anywhere."""
GRACE_SECONDS = 1
"""For requests that are being answered when the server is told to end. Events that were not confirmed come again."""
HALF_SECONDS = 0.2
"""For the rest of requests that have not come in as a whole by then: nobody knows whether it ever comes."""
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Those that are not taken for one another."""


class CannotServe(KohortError):
    """The pages could not be started."""

    code = "cannot_serve"


def serve(
    folder: Path,
    *,
    host: str,
    port: int,
    log: How = "text",
    users: bool = False,
    login: bool = False,
    plain: bool = False,
) -> None:
    """Serve a workspace's pages until Ctrl-C; one line on stderr says when they are ready.

    Args:
        folder: The workspace.
        host: Address to listen on; on anything but this machine's own everybody has to log in.
        port: 0 = any free one.
        log: How lines on stderr look; see `kohort.cli.logs`.
        users: Whether somebody can log in.
        login: Everybody has to, also here, and also while nobody can: then a word is printed that lets the first one in.
        plain: People may log in over connections that are not encrypted.

    Raises:
        CannotServe: The port is taken, the pages did not start, or everybody who reaches them would see them.
        WrongUsage: The settings of the identity provider cannot be meant (`kohort.model.oidc`).
    """
    elsewhere = provider_here() is not None
    login = login or elsewhere or os.environ.get(LOGIN_VARIABLE) == "yes"
    if not (users or login or is_this_machine(host)):
        raise CannotServe(
            "Nobody can log in yet, so the pages are shown on this machine only.",
            hint="Let the first user in: kohort users add NAME --role administrator. Or add --login: it prints a word for her.",
        )
    from kohort.live.beside import start_early

    start_early(folder)

    import asyncio

    import uvicorn
    from uvicorn.importer import import_from_string

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            note(f"Kohort is ready: {address}  (stop with Ctrl-C)", "ready", address=address)
            if nobody:
                note(
                    f"Nobody can log in yet. Open {address}/set-up and give this word: {word}", "nobody can log in yet"
                )

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Streams never end by themselves, and the server waits for them.
            import_from_string(STREAMS_END)()
            asyncio.get_running_loop().call_later(
                HALF_SECONDS, import_from_string(HALVES_END), self.server_state.connections
            )
            await super().shutdown(sockets)

    set_up(log)

    def note(text: str, event: str, **facts: str) -> None:
        """A sentence for people; a line like any other for programs."""
        if log == "json":
            say(logging.getLogger("kohort.serve"), logging.INFO, event, **facts)
        else:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    with listen(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}"
        insist = login or not is_this_machine(host)
        nobody = insist and not (users or elsewhere)
        # Lines of a log are kept and passed on: no place for a word that lets somebody in.
        word = first_word() if nobody and log == "text" else ""
        if not is_this_machine(host) and not plain:
            told = "Note: people log in over https only. Put a proxy with TLS in front of it (docs/operations.md)."
            note(told, "people log in over https only")
        os.environ["KOHORT_WORKSPACE"] = str(folder.resolve())
        given = {LOGIN_VARIABLE: insist, PLAIN_VARIABLE: plain}
        os.environ.update({name: "yes" for name, wanted in given.items() if wanted})
        os.environ[FIRST_VARIABLE] = word_digest(word) if word else ""
        os.environ[LOG_VARIABLE] = log
        config = uvicorn.Config(
            APP,
            factory=True,
            http=HTTP,
            log_config=None,
            log_level="warning",
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        try:
            Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            note("Stopped.", "stopped")
            _leave_what_is_not_done()
        except SystemExit as error:
            # uvicorn leaves with its own status, which means something else in ours.
            raise CannotServe("The pages could not be started.", hint="Run: kohort doctor") from error


def _leave_what_is_not_done() -> None:
    """Ends at once where a thread is still at work: it would keep the process, or end it in the middle of foreign code."""
    if any(thread.name in AT_WORK for thread in threading.enumerate()):
        sys.stderr.flush()
        os._exit(0)


def first_word() -> str:
    """A word for the first user, easy to read and to type: 80 random bits."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(16))
    return "-".join(letters[i : i + 4] for i in range(0, 16, 4))


def is_this_machine(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to an address; port 0 = any free one.

    Raises:
        BadInput: There is no such address (`bad_host`).
        CannotServe: The port is taken, or may not be used.
    """
    try:
        family, kind, proto, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise BadInput("The address after --host is not known.", code="bad_host", hint="Write 127.0.0.1.") from error
    listener = socket.socket(family, kind, proto)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(place)
    except OSError as error:
        listener.close()
        raise CannotServe(
            f"Port {port} of {host} cannot be used: {(error.strerror or 'refused').lower()}.",
            hint="Choose another one with --port, or 0 for any free one.",
        ) from error
    return listener
