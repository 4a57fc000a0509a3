"""Files that would run code, or take time or memory without end, are refused."""

import itertools
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from gan_layouts import module, random_state, rosinality_state, tensorflow_variables
from gan_pickles import (
    ORDERED,
    Code,
    blob,
    built,
    call,
    code,
    get,
    name,
    parameter,
    pickled,
    put,
    storage,
    storage_id,
    stream,
    tensor,
    view,
)
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vqlso.errors import CheckpointError
from vqlso.generators.import_gan import read_gan
from vqlso.generators.import_gan.architecture import stylegan2_shapes
from vqlso.generators.import_gan.stylegan3_architecture import stylegan3_shapes
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.stylegan3.settings import StyleGAN3Settings

WORKER = Path(__file__).with_name("import_gan_worker.py")
# A million opcodes of Python objects, and an interpreter's slack.
MOST_MIB = 400
SECONDS = 240

TINY = StyleGAN2Settings(
    resolution=8, z_dim=2, w_dim=2, mapping_layers=1, channel_base=16, channel_max=2
)
STATE = random_state(stylegan2_shapes({**TINY.__dict__}))
STATE_3 = random_state(
    stylegan3_shapes(
        StyleGAN3Settings(16, 2, 2, channel_base=16, channel_max=2, num_layers=4, margin_size=1)
    )
)
SIX = np.arange(6, dtype=np.float32)
LOAD = name("torch.storage", "_load_from_bytes")
ENCODE = name("_codecs", "encode")
RECONSTRUCT = name("torch_utils.persistence", "_reconstruct_persistent_obj")
NETWORK = name("dnnlib.tflib.network", "Network")
DTYPE = name("numpy", "dtype")


def generator(value: object) -> bytes:
    """A pickle with anything beside a valid generator, so that only the anything is at fault."""
    return pickled({"other": value, "G_ema": module("Generator", STATE, clamp=None)})


def with_tensor(value: Code) -> bytes:
    """A pickle of a generator with one extra tensor."""
    layer = module("Generator", STATE, clamp=None, write=lambda array: value)
    return pickled({"G_ema": layer})


def module_of(state: Code) -> Code:
    meta = {"type": "class", "version": 6, "module_src": "", "class_name": "G", "state": state}
    return call(RECONSTRUCT, meta)


def cyclic_module() -> bytes:
    """A module that is its own child."""
    children = Code(b"}" + put(1))
    made = module_of(Code(b"}" + code("_modules") + children + b"s"))
    return b"\x80\x04" + made + put(2) + get(1) + code("child") + get(2) + b"s0." + b""


def doubling_modules() -> bytes:
    """Forty levels, each of whose modules has the next one twice: 2^40 paths."""
    made = module_of(code({}))
    for level in range(10, 50):
        pair = Code(b"}" + code("a") + get(level) + b"s" + code("b") + get(level) + b"s")
        next_module = module_of(Code(b"}" + code("_modules") + pair + b"s"))
        made = Code(made + put(level) + b"0" + next_module)
    return pickled(made)


def array_of(dtype: Code, shape: tuple[int, ...], content: bytes) -> Code:
    empty = call(
        name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), (0,), b"b"
    )
    return built(empty, (1, shape, dtype, False, content))


FLOATS = built(call(DTYPE, "f4", False, True), (3, "<", None, None, None, -1, -1, 0))
NESTED_CALL = stream(Code(name("os", "system") + code(("echo",)) + b"R"), {}, {})
NESTED_TWICE = stream(call(LOAD, blob(SIX)), {}, {})
LYING_COUNT = stream(storage_id("FloatStorage", "1", 7), {"1": SIX.tobytes()}, {"1": 6})
HUGE_COUNT = stream(storage_id("FloatStorage", "1", 2**39), {"1": b""}, {"1": 2**39})
HUGE_NUMBER = Code(b"\x8a\xff" + b"\x7f" * 255)

# Name -> bytes of the file, and a part of the message.
CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    # Code
    "system": (lambda: pickled(call(name("os", "system"), "echo")), "os.system"),
    "system posix": (lambda: generator(name("posix", "system")), "posix.system"),
    "eval by stack": (
        lambda: generator(Code(code("builtins") + code("eval") + b"\x93")),
        "builtins.eval",
    ),
    "dotted": (
        lambda: generator(name("torch._utils", "_rebuild_tensor_v2.__globals__")),
        "__globals__",
    ),
    "torch load": (lambda: generator(name("torch", "load")), "torch.load"),
    "nested call": (lambda: generator(call(LOAD, NESTED_CALL)), "os.system"),
    "nested stream in a stream": (
        lambda: generator(call(LOAD, NESTED_TWICE)),
        "torch.storage._load_from_bytes",
    ),
    "opcode INST": (lambda: generator(Code(b"(ios\nsystem\n")), "opcode"),
    "opcode OBJ": (lambda: generator(Code(b"(" + name("os", "system") + b"o")), "opcode"),
    "opcode EXT1": (lambda: generator(Code(b"\x82\x01")), "opcode"),
    "persistent id": (lambda: generator(Code(code("x") + b"Q")), "outside the file"),
    "mentioned only": (lambda: generator(call(name("numpy", "ndarray"), (3,))), "only be mention"),
    # State set on what should have none
    "poisoned function": (
        lambda: generator(built(LOAD, {"__code__": "x", "__globals__": {}})),
        "sets attributes",
    ),
    "poisoned list": (lambda: generator(built(code([1]), {"a": 1})), "sets attributes"),
    "poisoned tensor": (lambda: generator(built(tensor(SIX), {"a": 1})), "sets attributes"),
    "called result": (lambda: generator(Code(ORDERED + code(()) + b"R")), "no named function"),
    # Views
    "outside": (lambda: with_tensor(view(storage(SIX), 3, (4,), (1,))), "reaches element 6"),
    "before": (lambda: with_tensor(view(storage(SIX), -1, (4,), (1,))), "outside [0"),
    "backwards": (lambda: with_tensor(view(storage(SIX), 5, (4,), (-1,))), "outside [0"),
    "stride 0": (lambda: with_tensor(view(storage(SIX), 0, (6,), (0,))), "repeats"),
    "overlap": (lambda: with_tensor(view(storage(SIX), 0, (3, 3), (1, 1))), "repeats"),
    "huge shape": (
        lambda: with_tensor(view(storage(SIX), 0, (2**39,) * 8, (0,) * 8)),
        "repeats",
    ),
    "beyond any shape": (lambda: with_tensor(view(storage(SIX), 0, (2**90,), (1,))), "outside"),
    "strides missing": (lambda: with_tensor(view(storage(SIX), 0, (2, 3), (1,))), "strides"),
    "lying count": (lambda: generator(call(LOAD, LYING_COUNT)), "declared as 7"),
    "huge count": (lambda: generator(call(LOAD, HUGE_COUNT)), "cut off"),
    # Declared lengths
    "bytes": (lambda: b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.", "cut off"),
    "text": (lambda: b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.", "at most"),
    "integer": (lambda: generator(HUGE_NUMBER), "an integer of 255 bytes"),
    "endless name": (lambda: b"\x80\x04c" + b"a" * 1_000_000, "no end"),
    "array": (lambda: generator(array_of(FLOATS, (2**39, 2**39), b"1234")), "has 4 bytes"),
    "array of objects": (
        lambda: generator(array_of(call(DTYPE, "O8", False, True), (1,), b"12345678")),
        "other scalars",
    ),
    # Time and memory
    "memo index": (lambda: generator(Code(code(1) + put(2**32 - 1))), "memo index"),
    "memo of nothing": (lambda: generator(get(77)), "never stored"),
    "one blob many times": (
        lambda: (
            b"\x80\x04("
            + (LOAD + put(0) + code(blob(SIX)) + put(1))
            + (get(0) + get(1) + b"\x85R") * 200_000
            + b"t."
        ),
        "opcodes",
    ),
    "one text encoded many times": (
        lambda: (
            b"\x80\x04("
            + (ENCODE + put(0) + code(("a" * 10**6, "latin1")) + put(1))
            + (get(0) + get(1) + b"R") * 200_000
            + b"t."
        ),
        "unfold",
    ),
    "one list made a set many times": (
        lambda: (
            b"\x80\x04("
            + (name("builtins", "set") + put(0) + code(([1] * 10**5,)) + put(1))
            + (get(0) + get(1) + b"R") * 200_000
            + b"t."
        ),
        "something else than networks",
    ),
    "text that widens": (lambda: pickled("a" * 30_000_000 + "\U0001f600"), "unfold"),
    "deep tuples": (lambda: b"\x80\x04)" + b"\x85" * 300_000 + b".", "something else"),
    "deep lists": (lambda: b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b".", "something else"),
    "deep objects": (
        lambda: b"\x80\x04}" + (code("a") + NETWORK + b")\x81" + b"}") * 1000 + b"sb" * 1000 + b".",
        "is no dict",
    ),
    "deep key": (
        lambda: b"\x80\x04})" + b"\x85" * 200_000 + b"Ns.",
        "neither a short text",
    ),
    "doubling key": (
        lambda: b"\x80\x04})" + b"2\x86" * 60 + b"Ns.",
        "opcode",
    ),
    "doubling key by memo": (
        lambda: (
            b"\x80\x04}" + b")" + b"".join(put(i) + get(i) + b"\x86" for i in range(60)) + b"Ns."
        ),
        "neither a short text",
    ),
    "long key": (lambda: pickled({"k" * 10**6: 1}), "neither a short text"),
    "opcodes without end": (lambda: b"\x80\x04" + b"N0" * 3_000_000 + b".", "opcodes"),
    "empty stack": (lambda: b"\x80\x040.", "stack"),
    "below a mark": (lambda: b"\x80\x04N(0.", "stack"),
    "cyclic module": (cyclic_module, "nested too deep"),
    "doubling modules": (doubling_modules, "modules"),
}


def archive_bytes(**options: object) -> bytes:
    """A zip archive in the layout of `torch.save`, with a file of zeros."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", **options) as archive:
            archive.writestr("archive/data.pkl", pickled({"g_ema": {}}, 2))
            archive.writestr("archive/data/0", bytes(10**6))
        file.seek(0)
        return file.read()


def crowded_archive() -> bytes:
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for i in range(40_000):
                archive.writestr(f"archive/{i}", b"")
        file.seek(0)
        return file.read()


CASES |= {
    "zip bomb": (lambda: archive_bytes(compression=zipfile.ZIP_DEFLATED), "compressed"),
    "crowded zip": (crowded_archive, "directory"),
    "cut zip": (lambda: archive_bytes()[:-30], "cut off or damaged"),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What came of every case, and of random damage to valid files, in one watched process."""
    hostile, valid = tmp_path_factory.mktemp("hostile"), tmp_path_factory.mktemp("valid")
    for key, (make, _) in CASES.items():
        (hostile / key).write_bytes(make())
    for key, content in VALID.items():
        (valid / key).write_bytes(content)
    rng = np.random.default_rng(0)
    for key, i in itertools.product(VALID, range(60)):
        (hostile / f"damaged {key} {i}").write_bytes(damaged(VALID[key], rng))
    arguments = [sys.executable, str(WORKER), str(hostile), str(valid)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def valid_archive(*, zipped: bool) -> bytes:
    tensors = {k: torch.from_numpy(v.copy()) for k, v in rosinality_state(STATE).items()}
    with tempfile.TemporaryFile() as file:
        torch.save({"g_ema": tensors}, file, _use_new_zipfile_serialization=zipped)
        file.seek(0)
        return file.read()


def tensorflow_network(variables: list[tuple[str, np.ndarray]], **state: object) -> Code:
    arrays = [
        (key, array_of(FLOATS, array.shape, np.ascontiguousarray(array).tobytes()))
        for key, array in variables
    ]
    return built(Code(NETWORK + b")\x81"), state | {"variables": arrays})


def valid_tensorflow() -> bytes:
    variables = tensorflow_variables(STATE)
    components = {key: tensorflow_network(variables[key]) for key in ("mapping", "synthesis")}
    network = tensorflow_network(variables[""], version=4, static_kwargs={}, components=components)
    return pickled((network, network, network))


VALID = {
    "tensorflow": valid_tensorflow(),
    "stylegan3": pickled({"G_ema": module("Generator", STATE_3, arguments={"margin_size": 1})}),
    "nvidia": pickled({"G_ema": module("Generator", STATE, clamp=None)}),
    "zip": valid_archive(zipped=True),
    "legacy": valid_archive(zipped=False),
}


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, a slice dropped, or a slice repeated."""
    data = bytearray(content)
    kind, at = rng.integers(3), int(rng.integers(len(data)))
    length = int(rng.integers(1, 40))
    if kind == 0:
        for place in rng.integers(len(data), size=int(rng.integers(1, 6))):
            data[place] = rng.integers(256)
    elif kind == 1:
        del data[at : at + length]
    else:
        data[at:at] = data[at : at + length]
    return bytes(data)


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_file_is_refused_with_its_reason(
    case: str, outcomes: dict[str, dict[str, object]]
) -> None:
    error = str(outcomes[case]["error"])
    assert CASES[case][1] in error
    assert "Supported are" in error
    assert len(error) < 2000


def test_no_file_makes_the_reader_fail_otherwise(outcomes: dict[str, dict[str, object]]) -> None:
    assert not [key for key, found in outcomes.items() if "DEFECT" in str(found["error"])]


def test_no_file_makes_anything_run_or_opens_another_file(
    outcomes: dict[str, dict[str, object]],
) -> None:
    assert {key: found["events"] for key, found in outcomes.items() if found["events"]} == {}


def test_no_file_takes_more_memory_than_its_bound(outcomes: dict[str, dict[str, object]]) -> None:
    assert max(float(str(found["peak"])) for found in outcomes.values()) < MOST_MIB


def edits() -> st.SearchStrategy[list[tuple[float, bytes, int]]]:
    """(where, what is put there, how much it replaces)."""
    place = st.floats(0, 1, exclude_max=True)
    return st.lists(
        st.tuples(place, st.binary(max_size=6), st.integers(0, 30)), min_size=1, max_size=4
    )


@hypothesis_settings(max_examples=300)
@given(key=st.sampled_from(sorted(VALID)), changes=edits())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    key: str, changes: list[tuple[float, bytes, int]]
) -> None:
    data = bytearray(VALID[key])
    for place, put_there, replaced in changes:
        at = int(place * len(data))
        data[at : at + replaced] = put_there
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.pkl"
        path.write_bytes(bytes(data))
        try:
            found = read_gan(path)
        except CheckpointError:
            return
        assert all(np.isfinite(array).all() for array in found.state.values())


def test_a_module_with_unused_parameters_is_no_reason_to_run_its_source(tmp_path: Path) -> None:
    path = tmp_path / "g.pkl"
    path.write_bytes(pickled({"G_ema": module("Generator", STATE | {"odd": SIX}, clamp=None)}))
    with pytest.raises(CheckpointError, match=r"unexpected: 'odd'"):
        read_gan(path)


def cut(content: bytes) -> Iterator[bytes]:
    for size in np.linspace(1, len(content) - 1, 60).astype(int):
        yield content[:size]


@pytest.mark.parametrize("key", sorted(VALID))
def test_a_file_that_is_cut_off_anywhere_is_refused(key: str, tmp_path: Path) -> None:
    path = tmp_path / "g.pkl"
    for content in cut(VALID[key]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            read_gan(path)


def test_a_parameter_of_something_else_than_a_tensor_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.pkl"
    wrapped = call(name("torch._utils", "_rebuild_parameter"), [1], False, ORDERED)
    path.write_bytes(pickled([parameter(SIX), wrapped]))
    with pytest.raises(CheckpointError, match="what a parameter wraps is no StoredTensor"):
        read_gan(path)
