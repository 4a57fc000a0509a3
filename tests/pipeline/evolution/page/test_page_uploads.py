"""Photos and saved sessions that people send."""

import asyncio
import io
import struct
import zlib
from collections.abc import AsyncIterator

import pytest
from PIL import Image

from pipeline.evolution.page import uploads
from pipeline.evolution.page.uploads import PHOTO_EDGE, Uploads, checked_photo, received
from vqlso.errors import DataError


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG file that tells of so many pixels."""
    facts = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + facts + struct.pack(">I", zlib.crc32(facts))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 1000) + b"IDAT"


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_made_smaller(kind: str) -> None:
    photo = checked_photo(encoded(Image.new("RGB", (3000, 1500), (200, 30, 30)), kind))
    with Image.open(io.BytesIO(photo)) as kept:
        assert kept.size == (PHOTO_EDGE, PHOTO_EDGE // 2)
        assert kept.convert("RGB").getpixel((5, 5)) == pytest.approx((200, 30, 30), abs=3)


def test_a_photo_stands_upright_and_says_nothing_of_its_camera() -> None:
    image = Image.new("RGB", (40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "a maker"
    photo = checked_photo(encoded(image, "JPEG", exif=exif))
    with Image.open(io.BytesIO(photo)) as kept:
        assert kept.size == (20, 40)
        assert not kept.getexif()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_colours(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    with Image.open(io.BytesIO(checked_photo(encoded(Image.new(mode, (8, 8)), kind)))) as kept:
        assert kept.mode == "RGB"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("edge", [10_000, 60_000])
def test_too_many_pixels_are_not_even_decoded(edge: int) -> None:
    with pytest.raises(DataError, match="more than 50 megapixels"):
        checked_photo(png_header(edge, edge))


@pytest.mark.parametrize("content", [b"no picture", b"", b"GIF89a" + bytes(50), b"<svg/>"])
def test_what_is_no_photo(content: bytes) -> None:
    with pytest.raises(DataError, match="no photo"):
        checked_photo(content)


def test_a_damaged_photo() -> None:
    whole = encoded(Image.effect_noise((64, 64), 90).convert("RGB"), "PNG")
    with pytest.raises(DataError, match="damaged"):
        checked_photo(whole[: len(whole) // 2])


def test_a_body_of_the_allowed_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(uploads.LIMITS, "photo", 5)
    assert asyncio.run(received(chunks(b"ab", b"cde"), "photo")) == b"abcde"
    with pytest.raises(DataError, match="larger than"):
        asyncio.run(received(chunks(b"ab", b"cdef", b"g" * 100), "photo"))


def test_an_empty_body() -> None:
    with pytest.raises(DataError, match="empty"):
        asyncio.run(received(chunks(), "session"))


def test_the_oldest_uploads_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_KEPT", 10)
    held = Uploads()
    first, second, third = (held.keep(content) for content in (b"aaaa", b"bbbb", b"cccc"))
    assert held.get(third) == b"cccc"
    assert held.get(second) == b"bbbb"
    with pytest.raises(DataError, match="once more"):
        held.get(first)
