"""Latents -> images. `load_generator` reads any generator from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vqlso.generators.loading import load_generator

__all__ = ["load_generator"]


def __getattr__(name: str) -> Any:
    if name == "load_generator":
        from vqlso.generators.loading import load_generator

        return load_generator
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
