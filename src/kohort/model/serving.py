"""Where the pages are served unless somebody says otherwise."""

SERVE_HOST = "127.0.0.1"
"""This machine only: there is no login yet."""

SERVE_PORT = 8765
