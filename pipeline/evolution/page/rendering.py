"""The page's templates as responses."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse

_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


def rendered(template: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page that may load what this server sends, and nothing else."""
    text = _templates().get_template(template).render(**shown)
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(text, status, headers)


def problem_page(problem: str, status: int) -> HTMLResponse:
    """What went wrong, and ways on."""
    return rendered("problem.html.j2", status, problem=problem)


def reads_pages(headers: Headers) -> bool:
    """Whether a person is to read the answer, and no script."""
    return "text/html" in headers.get("accept", "")


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("pipeline.evolution.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
