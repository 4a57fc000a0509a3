"""Objects of foreign classes, recorded under their names and never made."""

from __future__ import annotations

from collections.abc import Mapping

from vqlso.generators.import_gan.refusal import RefusedError, expect
from vqlso.generators.import_gan.restricted_pickle import Name, Reduction

NETWORK_CLASS = Name("dnnlib.tflib.network", "Network")
NAMESPACE_CLASS = Name("argparse", "Namespace")
ZOO_OPTIONS_CLASS = Name("models.utils.config", "BaseConfig")

MOST_ENTRIES = 1024


class Recorded:
    """An object that a pickle makes without arguments and then gives a state.

    Attributes:
        name: its class.
        state: its attributes.
    """

    __slots__ = ("name", "state")

    def __init__(self, name: Name) -> None:
        self.name = name
        self.state: Mapping[str, object] = {}

    def build(self, state: object) -> None:
        """Take the attributes.

        Raises:
            RefusedError: they are no dictionary.
        """
        self.state = expect(state, dict, f"the state of a {self.name}")


class Module:
    """A module of NVIDIA's, as its `torch_utils.persistence` writes it.

    Attributes:
        class_name: as the embedded source defines it.
        version: of the layout.
        state: the attributes of the module.
    """

    __slots__ = ("class_name", "state", "version")

    def __init__(self, meta: Mapping[str, object]) -> None:
        if meta.get("type") != "class":
            raise RefusedError("an object of NVIDIA's persistence that is no class")
        self.class_name = expect(meta.get("class_name"), str, "the class name of a module")
        self.version = expect(meta.get("version"), int, "the version of a module's layout")
        self.state: dict[str, object] = expect(meta.get("state"), dict, "the state of a module")

    def mapping(self, attribute: str) -> dict[str, object]:
        """An attribute that is a dictionary, such as `_parameters`; empty where there is none.

        Raises:
            RefusedError: it is something else, or a large one, which many modules could share.
        """
        found = expect(self.state.get(attribute, {}), dict, f"{attribute} of a module")
        if len(found) > MOST_ENTRIES:
            raise RefusedError(f"a module with {len(found):,} entries in {attribute}")
        return found


def recording(name: Name) -> Reduction:
    """What a call of this class gives."""

    def record(arguments: tuple[object, ...]) -> Recorded:
        if arguments:
            raise RefusedError(f"a {name} is made from arguments")
        return Recorded(name)

    return record


def module(arguments: tuple[object, ...]) -> Module:
    """What NVIDIA's reconstruction function gives: a record; the embedded source is not run.

    Raises:
        RefusedError: the argument does not describe a module.
    """
    if len(arguments) != 1:
        raise RefusedError("NVIDIA's reconstruction is called with other than one argument")
    return Module(expect(arguments[0], dict, "the description of a module"))
