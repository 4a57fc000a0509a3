"""Faults that are put into whole runs, and what became of them: docs/reliability.md."""
