"""A zip archive as `torch.save` writes it: files stored as they are, in one folder."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

from vqlso.generators.import_gan.bounds import piece
from vqlso.generators.import_gan.refusal import RefusedError, shown

# The directory of a training checkpoint with optimisers takes some 100 kB.
LARGEST_DIRECTORY = 2**21
# Local file header: signature, 22 bytes that the directory repeats, lengths of name and extra.
ENCRYPTED = 1
LOCAL_HEADER = struct.Struct("<4s22xHH")


class ZipArchive:
    """The files of an archive as views of its bytes.

    Args:
        path: the archive.
        source: its bytes.

    Raises:
        RefusedError: no whole zip archive, or one with a huge directory.
    """

    def __init__(self, path: Path, source: memoryview) -> None:
        try:
            with _Bounded(path) as file, zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise RefusedError(f"a zip archive that is cut off or damaged ({error})") from None
        self._source = source
        # All files of an archive of torch.save lie in one folder, named as the archive once was.
        self._entries = {entry.filename.partition("/")[2]: entry for entry in entries}

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def content(self, name: str) -> memoryview:
        """The bytes of a file, named without the archive's folder.

        Raises:
            RefusedError: there is no such file, it is compressed, or it lies outside the archive.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise RefusedError(f"an archive without the file {shown(name)}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & ENCRYPTED:
            raise RefusedError(
                f"a zip archive whose file {shown(name)} is compressed or encrypted, as torch.save "
                "never writes it; unpack it first"
            )
        header = piece(self._source, entry.header_offset, LOCAL_HEADER.size)
        signature, name_length, extra_length = LOCAL_HEADER.unpack(header)
        if signature != b"PK\x03\x04":
            raise RefusedError(
                f"an archive whose file {shown(name)} is not where its directory says"
            )
        start = entry.header_offset + LOCAL_HEADER.size + name_length + extra_length
        return piece(self._source, start, entry.file_size)


class _Bounded(io.FileIO):
    """A file that is never read in larger parts, whatever length a directory declares."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > LARGEST_DIRECTORY:
            raise RefusedError("a zip archive whose directory is larger than any checkpoint's")
        # Without a size zipfile reads the end of the file only.
        wanted = LARGEST_DIRECTORY if size is None or size < 0 else size
        return super().read(wanted) or b""
