"""What exists, as frozen values: events, features, sources, health, segmentations. No engine, no file, no door."""
