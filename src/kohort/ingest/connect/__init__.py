"""Rows fetched from other systems, through `dlt`: REST APIs, tables of databases, objects in stores.

They go the way of files: mapped, controlled, counted; rows that cannot be used are kept; direct identifiers reach the vault
and nothing else. Only the part of `dlt` that fetches is used, not its pipelines: no working folder, nothing on the disk.
"""

from __future__ import annotations
