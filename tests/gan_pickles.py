"""Pickles written opcode by opcode, so that no class of any GAN library is needed to make one."""

import struct

import numpy as np


class Code(bytes):
    """Opcodes that leave one value on the stack."""


def code(value: object) -> Code:
    """The opcodes of a plain value; arrays and foreign objects have functions of their own."""
    if isinstance(value, Code):
        return value
    if value is None or isinstance(value, bool):
        return Code({None: b"N", True: b"\x88", False: b"\x89"}[value])
    if isinstance(value, int):
        size = max(1, value.bit_length() // 8 + 1)
        return Code(b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True))
    if isinstance(value, float):
        return Code(b"G" + struct.pack(">d", value))
    if isinstance(value, str):
        text = value.encode()
        return Code(b"X" + struct.pack("<I", len(text)) + text)
    if isinstance(value, bytes):
        return Code(b"B" + struct.pack("<I", len(value)) + value)
    if isinstance(value, tuple):
        return Code(b"(" + b"".join(code(item) for item in value) + b"t")
    if isinstance(value, list):
        return Code(b"](" + b"".join(code(item) for item in value) + b"e")
    if isinstance(value, dict):
        items = b"".join(code(key) + code(item) for key, item in value.items())
        return Code(b"}(" + items + b"u")
    raise TypeError(type(value))


def name(module: str, attribute: str) -> Code:
    return Code(f"c{module}\n{attribute}\n".encode())


def call(function: Code, *arguments: object) -> Code:
    return Code(function + code(arguments) + b"R")


def built(target: Code, state: object) -> Code:
    return Code(target + code(state) + b"b")


def put(index: int) -> bytes:
    return b"r" + struct.pack("<I", index)


def get(index: int) -> Code:
    return Code(b"j" + struct.pack("<I", index))


def pickled(value: object, protocol: int = 4) -> bytes:
    return b"\x80" + bytes([protocol]) + code(value) + b"."


ORDERED = call(name("collections", "OrderedDict"))
STORAGES = {"<f4": "FloatStorage", "<f2": "HalfStorage", "<f8": "DoubleStorage"}
LEGACY_FACTS = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}


def stream(value: object, storages: dict[str, bytes], counts: dict[str, int]) -> bytes:
    """A legacy stream of `torch.save`: four pickles, the keys, the bytes of each storage."""
    head = pickled(0x1950A86A20F9469CFC6C, 2) + pickled(1001, 2) + pickled(LEGACY_FACTS, 2)
    data = b"".join(struct.pack("<q", counts[key]) + storages[key] for key in storages)
    return head + pickled(value, 2) + pickled(list(storages), 2) + data


def storage_id(kind: str, key: str, count: int) -> Code:
    return Code(code(("storage", name("torch", kind), key, "cpu", count, None)) + b"Q")


def blob(array: np.ndarray) -> bytes:
    """The stream of one storage."""
    kind = STORAGES[array.dtype.str]
    return stream(storage_id(kind, "1", array.size), {"1": array.tobytes()}, {"1": array.size})


def storage(array: np.ndarray) -> Code:
    return call(name("torch.storage", "_load_from_bytes"), blob(array))


def view(held: Code, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Code:
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return call(rebuild, held, offset, shape, strides, False, ORDERED)


def tensor(array: np.ndarray) -> Code:
    array = np.asarray(array, order="C")
    strides = tuple(stride // array.itemsize for stride in array.strides)
    return view(storage(array), 0, array.shape, strides)


def parameter(array: np.ndarray) -> Code:
    return call(name("torch._utils", "_rebuild_parameter"), tensor(array), False, ORDERED)
