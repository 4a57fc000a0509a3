"""Finished runs compared: tables, curves, pages."""
