"""Opening a file with the reader of its kind."""

from __future__ import annotations

from kohort.ingest.chunk import Reader
from kohort.ingest.files import EXCEL, JSON, PARQUET, SourceFile
from kohort.model.source import CsvFormat


def open_reader(file: SourceFile, *, csv: CsvFormat | None = None, sheet: str = "") -> Reader:
    """The reader of a file. Opening reads what is needed to know its columns.

    Args:
        file: From `files.expand`.
        csv: How a text file is written; None = detect.
        sheet: Sheet of a workbook; empty = its only one.

    Raises:
        UnreadableFile: It is damaged, empty, encrypted, or not of the kind its name says.
        TooLarge: Something in it is beyond a limit.
        NeedsAnswer: It can be read in more than one way.
    """
    if file.suffix in PARQUET:
        from kohort.ingest.parquet import ParquetReader

        return ParquetReader(file.path, file.name)
    if file.suffix in EXCEL:
        from kohort.ingest.excel import ExcelReader

        return ExcelReader(file.path, file.name, sheet=sheet)
    if file.suffix in JSON:
        from kohort.ingest.jsonlines import JsonLinesReader

        return JsonLinesReader(file)
    from kohort.ingest.csvfile import CsvReader

    return CsvReader(file, csv)
