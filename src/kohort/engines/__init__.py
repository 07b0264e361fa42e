"""Run a compiled expression: on DuckDB (`duck`, `evaluate`) or on Spark (`spark`). What is asked is decided above."""
