"""The rule language: SQL boolean expressions over customers, read into a closed tree of values, never run as text."""
