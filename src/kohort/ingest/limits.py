"""How large a file, a table, a line or a value may be before it is refused. Every limit of reading files is here."""

from __future__ import annotations

MAX_FILE_BYTES = 64 * 1024**3
"""A file as it lies on disk. Reading is a stream, so this only stops mistakes."""

MAX_UNPACKED_BYTES = 16 * 1024**3
"""What one packed file (.gz, .zip, .xlsx, a Parquet column chunk) may unpack to."""

MAX_UNPACKED_RATIO = 200
"""Unpacked bytes per packed byte, above `FREE_UNPACKED_BYTES`. Honest tables stay below 50; zeros reach 1,030."""

FREE_UNPACKED_BYTES = 256 * 1024**2
"""Below this no ratio is checked."""

MAX_WORKBOOK_BYTES = 1024**3
"""What an Excel workbook may unpack to; its sheets are held in memory while they are read."""

MAX_ARCHIVE_MEMBERS = 20_000
MAX_FILES = 50_000
"""Files in one call, after folders and patterns are expanded."""

MAX_COLUMNS = 1_000
MAX_CELL_CHARS = 1_000_000
MAX_RECORD_CHARS = 4_000_000
"""One line of a text file, or one quoted record over several lines."""

MAX_RECORD_LINES = 1_000
"""Lines one quoted record may span. A stray quote would otherwise swallow the rest of the file."""

MAX_JSON_DEPTH = 32
MAX_NAME_CHARS = 200
"""A column's name."""

MAX_TEXT_CHARS = 10_000
"""A text that is stored with an event."""

MAX_UNIT = 10**9
"""Largest believable quantity of one line, and largest price or amount in major units."""

MAX_NUMBER = 9 * 10**12
"""Largest declared number: counted in millionths it fits 64 bits."""

EARLIEST_US = 31_536_000 * 1_000_000
"""1971-01-01 UTC. Earlier times are unset clocks (1970-01-01, 1900-01-00), not events."""

FUTURE_US = 24 * 3_600 * 1_000_000
"""How far ahead of our clock an event may be."""

CHUNK_ROWS = 185_000
"""Rows read and typed at once: as many as keep the whole under 600 MB."""

APPEND_ROWS = 120_000
"""Fewer rows wait for the next chunk before they go to the store: each append writes a file per bucket of customers."""

SAMPLE_ROWS = 20_000
"""Rows looked at to propose a mapping."""
