"""The pages' templates, with the words and figures that they write alike."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from pipeline.report.digits import Digits, alone
from pipeline.report.headline import counted, duration, written


def template(name: str, digits: Digits) -> Template:
    """A template of this folder; scores are written with these digits."""
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        score=lambda value: "–" if value is None else digits(value).replace("-", "−"),
        alone=lambda value: "–" if value is None else alone(value).replace("-", "−"),
        count=lambda value: written(value, "count"),
        share=lambda value: written(value, "share"),
        counted=counted,
        duration=duration,
    )
    return environment.get_template(name)
