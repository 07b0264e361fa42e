"""Kohort."""
