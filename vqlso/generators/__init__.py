"""Latents -> images. `load_generator` reads any generator from its file, `load_discriminator` what
it was trained against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vqlso.generators.loading import load_discriminator, load_generator

__all__ = ["load_discriminator", "load_generator"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from vqlso.generators import loading

        return getattr(loading, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
