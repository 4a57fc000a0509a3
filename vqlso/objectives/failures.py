"""Why a black box has no score for an image, in words that a journal can hold."""

from __future__ import annotations

from vqlso.errors import ObjectiveError


class BlackBoxError(ObjectiveError):
    """What happened to a black box in another process; the message is the reason as it stands."""


def reason_of(error: BaseException) -> str:
    """A failure in words that any file can hold, whatever the black box put into it."""
    try:
        text = str(error)
    except Exception:
        text = "(its message cannot be read)"
    told = text if isinstance(error, BlackBoxError) else f"{type(error).__name__}: {text}"
    return told.encode("utf-8", "replace").decode("utf-8")
