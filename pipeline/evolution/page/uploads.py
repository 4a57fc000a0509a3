"""What a person sends: photos and saved sessions, measured and checked before they are used."""

from __future__ import annotations

import io
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from threading import Lock

from PIL import Image, ImageOps, UnidentifiedImageError

from vqlso.errors import DataError

MEGABYTE = 1_000_000
LIMITS = {"photo": 20 * MEGABYTE, "session": 64 * MEGABYTE}  # bytes
MOST_PIXELS = 50_000_000
PHOTO_EDGE = 1024  # no generator here draws more pixels
FORMATS = ("JPEG", "PNG", "WEBP")
MOST_KEPT = 256 * MEGABYTE  # of all uploads that wait for the start of their session


class Uploads:
    """Uploads that wait to be used, the newest ones, in memory."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def keep(self, content: bytes) -> str:
        """A name under which the content can be asked for."""
        name = secrets.token_urlsafe(12)
        with self._lock:
            self._held[name] = content
            while sum(map(len, self._held.values())) > MOST_KEPT:
                self._held.popitem(last=False)
        return name

    def get(self, name: str) -> bytes:
        """What was kept.

        Raises:
            DataError: newer uploads took its place, or the server was started again.
        """
        with self._lock:
            if name not in self._held:
                raise DataError("This file is no longer here. Choose it once more.")
            return self._held[name]


async def received(chunks: AsyncIterator[bytes], kind: str) -> bytes:
    """A request's body, of which never more is held than is allowed.

    Args:
        chunks: the body.
        kind: one of `LIMITS`.

    Raises:
        DataError: it is empty or too large.
    """
    body, length = bytearray(), 0
    async for chunk in chunks:
        length += len(chunk)
        # Browsers hear no answer before they have sent everything: the rest is dropped.
        if length <= LIMITS[kind]:
            body += chunk
    if length > LIMITS[kind]:
        raise _too_large(kind)
    if not body:
        raise DataError("This file is empty. Choose another.")
    return bytes(body)


def checked_photo(content: bytes) -> bytes:
    """A photo as a PNG of at most `PHOTO_EDGE` pixels a side, upright and without its metadata.

    Raises:
        DataError: it is no photo, a damaged one, or has too many pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as photo:
            # The header tells the size: nothing is decoded before it is known to be small enough.
            if photo.width * photo.height > MOST_PIXELS:
                raise _too_many_pixels()
            photo.draft("RGB", (PHOTO_EDGE, PHOTO_EDGE))
            upright = ImageOps.exif_transpose(photo).convert("RGB")
    except DataError:
        raise
    except Image.DecompressionBombError:  # from 179 megapixels on
        raise _too_many_pixels() from None
    except UnidentifiedImageError:
        raise DataError(
            "This file is no photo that can be read. Choose a JPEG, PNG or WebP image."
        ) from None
    except Exception as error:  # Pillow meets damage with errors of many kinds
        raise DataError("This photo is damaged and cannot be read. Choose another.") from error
    upright.thumbnail((PHOTO_EDGE, PHOTO_EDGE))
    buffer = io.BytesIO()
    upright.save(buffer, "PNG")
    return buffer.getvalue()


def _too_many_pixels() -> DataError:
    return DataError(
        f"This photo has more than {MOST_PIXELS // 1_000_000} megapixels. Send a smaller copy."
    )


def _too_large(kind: str) -> DataError:
    return DataError(
        f"This file is larger than the {LIMITS[kind] // MEGABYTE} MB that a {kind} may have."
    )
