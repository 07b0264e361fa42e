"""The web pages: `serve` shows a workspace in the browser of this machine."""

from __future__ import annotations

import os
from pathlib import Path


def serve(path: str | Path, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Show the workspace at `path` until interrupted.

    Args:
        path: Folder of the workspace.
        host: Address to listen on. The default is this machine only: there is no sign-in yet.
        port: TCP port.
    """
    import uvicorn

    from kohort.web.app import WORKSPACE_VARIABLE, create

    os.environ[WORKSPACE_VARIABLE] = str(path)
    uvicorn.run(create(), host=host, port=port, log_level="warning", server_header=False)
