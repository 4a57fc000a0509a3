"""What reading one stranger's file may cost."""

from __future__ import annotations

from dataclasses import dataclass

from vqlso.generators.import_gan.refusal import RefusedError

# A checkpoint of NVIDIA's at 1,024 pixels takes some 50,000, one with optimisers more.
OPCODES = 1_000_000


@dataclass(slots=True)
class Budget:
    """What one file may cost, nested pickles included.

    Attributes:
        opcodes: how many are left.
        memory: bytes that may still be allocated beside the file.
    """

    memory: int
    opcodes: int = OPCODES

    def spend_opcode(self) -> None:
        """Count one opcode.

        Raises:
            RefusedError: none is left.
        """
        self.opcodes -= 1
        if self.opcodes < 0:
            raise RefusedError(f"it takes more than {OPCODES:,} pickle opcodes")

    def allocate(self, size: int) -> None:
        """Count bytes.

        Raises:
            RefusedError: fewer are left.
        """
        self.memory -= size
        if self.memory < 0:
            raise RefusedError("its text and encoded bytes unfold to far more than the file's size")


def piece(source: memoryview, position: int, size: int) -> memoryview:
    """Bytes of a file, without a copy.

    Raises:
        RefusedError: the file ends before.
    """
    left = len(source) - position
    if position < 0 or size > left:
        raise RefusedError(
            f"it is cut off: {size:,} bytes should follow byte {position:,}, "
            f"where {left:,} are left"
        )
    return source[position : position + size]
