"""Input that went wrong, or that somebody made go wrong: valid files with damage."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from pipeline.runs.journal import LINK, link_to

Edit = tuple[float, int, bytes]
Contents = st.SearchStrategy[bytes]

MOST_EDITS = 4
LONGEST = 40  # bytes that one edit replaces
# What readers trip over: numbers at their limits, other types, other places.
AWKWARD = (
    *(
        b"",
        b"\0",
        b"\xff\xfe",
        b"-1",
        b"0",
        b"1e400",
        b"NaN",
        b"-Infinity",
        b"99999999999999999999",
    ),
    *(b"4294967295", b"null", b"true", b"[]", b"{}", b"[[", b'"', b"\n", b",", b"=", b" "),
    *(b"../../x", b"/etc/passwd", b"/dev/zero", b"${oc.env:HOME}", b"!!python/name:os.system"),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, 10**30, -(2**40)]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["", "../../x", "/dev/zero", "os:system", "\0", "ok", "fail"]),
    st.just([]),
    st.just({}),
    st.lists(st.integers(-1, 5), max_size=3),
)


def damaged(seeds: Sequence[bytes], words: Sequence[bytes] = AWKWARD) -> Contents:
    """A valid file with a few slices replaced, or a few bytes that never were one.

    Args:
        seeds: valid files.
        words: what is put in, beside random bytes.
    """
    edit = st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, LONGEST),
        st.one_of(st.binary(max_size=6), st.sampled_from(words)),
    )
    changed = st.builds(edited, st.sampled_from(seeds), st.lists(edit, max_size=MOST_EDITS))
    cut = st.builds(cut_off, st.sampled_from(seeds), st.floats(0, 1))
    return st.one_of(changed, changed, changed, cut, st.binary(max_size=200))


def edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    """The content with slices replaced: (where as a share, how many bytes, by what)."""
    data = bytearray(content)
    for share, length, put in edits:
        place = int(share * len(data))
        data[place : place + length] = put
    return bytes(data)


def cut_off(content: bytes, share: float) -> bytes:
    """The first part of the content."""
    return content[: int(share * len(content))]


def archives(files: Mapping[str, bytes], names: Sequence[str]) -> Contents:
    """Zip files: damaged as a whole, or whole with a damaged, renamed or further member."""
    members = st.sampled_from(sorted(files))
    inner = members.flatmap(
        lambda name: st.builds(
            lambda content: packed({**files, name: content}), damaged([files[name]])
        )
    )
    renamed = st.builds(
        lambda old, new: packed({new if name == old else name: files[name] for name in files}),
        members,
        st.one_of(st.sampled_from(names), st.text(min_size=1, max_size=12)),
    )
    return st.one_of(inner, inner, renamed, damaged([packed(files)]))


def packed(files: Mapping[str, bytes]) -> bytes:
    """A zip file's content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def written(write: Callable[[Path], object]) -> bytes:
    """What a function writes to the file that it is given."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "written"
        write(path)
        return path.read_bytes()


def objects(value: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A JSON object of which values, however deep, are others, and keys are missing."""
    places = st.lists(
        st.tuples(st.sampled_from(_paths(value)), st.booleans(), VALUES), min_size=1, max_size=3
    )
    return places.map(lambda changes: _changed(value, changes))


def linked(events: Sequence[Mapping[str, Any]]) -> bytes:
    """The events as a journal whose links fit, as only malice makes it."""
    lines, last = [], ""
    for event in events:
        try:
            last = link_to(dict(event), last)
        except (TypeError, ValueError):  # a number that JSON does not know
            last = ""
        lines.append(json.dumps({**event, LINK: last}))
    return "".join(f"{line}\n" for line in lines).encode()


def journals(events: Sequence[dict[str, Any]]) -> Contents:
    """Journals with one other event, linked again; some are damaged as text."""
    place = st.integers(0, len(events) - 1)
    changed = place.flatmap(
        lambda at: objects(events[at]).map(
            lambda event: linked([*events[:at], event, *events[at + 1 :]])
        )
    )
    return st.one_of(changed, changed, damaged([linked(events)]))


def _paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a JSON value has parts."""
    if isinstance(value, Mapping):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))
    else:
        return []
    return [path for key, each in parts for path in ((*before, key), *_paths(each, (*before, key)))]


def _changed(value: Mapping[str, Any], changes: Sequence[tuple[Any, bool, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(value))
    for path, gone, new in changes:
        holder: Any = made
        try:
            for key in path[:-1]:
                holder = holder[key]
            if gone:
                del holder[path[-1]]
            else:
                holder[path[-1]] = copy(new)  # which may be given once more, and changed then
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return made
