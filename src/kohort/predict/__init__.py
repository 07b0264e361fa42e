"""Predictions that a sceptic can check: functions of the past only, with intervals, beside their naive rule."""
