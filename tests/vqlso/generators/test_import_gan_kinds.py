"""Files of other kinds are refused with the kind found, and nothing is written."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gan_layouts import (
    Network,
    Weights,
    module,
    name_tensorflow_classes,
    random_state,
    rosinality_state,
    tensorflow_variables,
)
from gan_pickles import pickled, tensor
from safetensors.numpy import save as safetensors_bytes

from vqlso.errors import CheckpointError
from vqlso.generators.import_gan import import_gan, read_gan
from vqlso.generators.import_gan.architecture import stylegan2_shapes
from vqlso.generators.import_gan.stylegan3_architecture import stylegan3_shapes
from vqlso.generators.stylegan3.settings import StyleGAN3Settings

SETTINGS = {
    "resolution": 8,
    "z_dim": 2,
    "w_dim": 2,
    "c_dim": 0,
    "mapping_layers": 1,
    "channel_base": 16,
    "channel_max": 2,
    "image_channels": 3,
}
STATE = random_state(stylegan2_shapes(SETTINGS))
SMALLEST_3 = StyleGAN3Settings(
    resolution=16, z_dim=2, w_dim=2, channel_base=16, channel_max=2, num_layers=4, margin_size=1
)


def g_ema(weights: Weights = STATE, **changes: object) -> bytes:
    return pickled({"G_ema": module("Generator", weights, **({"clamp": None} | changes))})


def halves(array: np.ndarray) -> bytes:
    return tensor(array.astype(np.float16))


KINDS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty"),
    "web page": (b"\n<!DOCTYPE html><html>Quota exceeded</html>", "a web page"),
    "xml": (b"<?xml version='1.0'?><Error/>", "a web page"),
    "safetensors": (safetensors_bytes({"a": np.zeros(3, np.float32)}), "a safetensors file"),
    "gzip": (b"\x1f\x8b\x08" + bytes(50), "a gzip archive"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    "text": (b"hello, world" * 10, "of an unknown kind"),
    "one byte": (b"\x80", "cut off"),
    "old pickle": (pickle.dumps({"a": 1}, 0), "of an unknown kind"),
    "list": (pickled([1, 2]), "something else than networks"),
    "other dictionary": (pickled({"weights": 1, "epoch": 2}), "its keys are 'weights', 'epoch'"),
    "discriminator": (pickled({"D": module("Discriminator", STATE)}), "a discriminator without"),
    "bare discriminator": (pickled(module("Discriminator", STATE)), "a discriminator without"),
    "later layout": (g_ema(version=7), "version 7 of NVIDIA's layout"),
    "other network": (
        pickled({"G_ema": module("TriPlaneGenerator", {"mapping.w_avg": STATE["mapping.w_avg"]})}),
        "of class 'TriPlaneGenerator'",
    ),
    "half precision": (g_ema(write=halves), "half precision"),
    "not finite": (
        g_ema(STATE | {"mapping.w_avg": np.array([1, np.nan], np.float32)}),
        "'mapping.w_avg' is not finite",
    ),
    "missing layer": (
        g_ema({k: v for k, v in STATE.items() if "b8.torgb" not in k}),
        "missing: 'synthesis.b8.torgb.weight'",
    ),
    "gap between blocks": (
        g_ema({k.replace(".b8.", ".b16."): v for k, v in STATE.items()}),
        r"blocks at [4, 16]",
    ),
    "without mapping": (
        g_ema({k: v for k, v in STATE.items() if "mapping.fc" not in k}),
        "without mapping.fc0.weight",
    ),
    "odd clamp": (g_ema(clamp="high"), "conv_clamp"),
    "infinite clamp": (g_ema(clamp=float("inf")), "conv_clamp"),
    "stylegan3 of other numbers": (
        pickled({"G_ema": module("Generator", random_state(stylegan3_shapes(SMALLEST_3)))}),
        "no StyleGAN3 (stylegan3-t) with the arguments it was made with",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_named_and_nothing_is_written(kind: str, tmp_path: Path) -> None:
    content, message = KINDS[kind]
    source, destination = tmp_path / "g.pkl", tmp_path / "g.safetensors"
    source.write_bytes(content)
    destination.write_bytes(b"kept")
    with pytest.raises(CheckpointError) as refusal:
        import_gan(source, destination)
    assert message in str(refusal.value)
    assert str(source) in str(refusal.value)
    assert "Supported are" in str(refusal.value)
    assert destination.read_bytes() == b"kept"
    assert sorted(tmp_path.iterdir()) == [source, destination]


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(CheckpointError, match="There is no file at"):
            read_gan(path)


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    source, link = tmp_path / "g.pkl", tmp_path / "link"
    source.write_bytes(g_ema())
    link.symlink_to(source)
    for destination in (source, link):
        with pytest.raises(CheckpointError, match="is the file to import"):
            import_gan(source, destination)
    assert source.read_bytes() == g_ema()


def test_a_destination_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = tmp_path / "g.pkl"
    source.write_bytes(g_ema())
    (tmp_path / "taken").mkdir()
    with pytest.raises(CheckpointError, match="taken cannot be written"):
        import_gan(source, tmp_path / "taken")


def test_archives_that_torch_did_not_save_are_told_apart(tmp_path: Path) -> None:
    other, script = tmp_path / "a.zip", tmp_path / "b.pt"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", b"")
    with zipfile.ZipFile(script, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/network.py"):
            archive.writestr(f"archive/{name}", b"")
    for path, message in ((other, "none that torch.save wrote"), (script, "TorchScript")):
        with pytest.raises(CheckpointError, match=message):
            read_gan(path)


ROSINALITY = {k: torch.from_numpy(v.copy()) for k, v in rosinality_state(STATE).items()}
KERNEL = "to_rgbs.0.upsample.kernel"


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({"d": {}, "d_optim": {}}, "a discriminator without"),
        (torch.zeros(3), "no dictionary"),
        ({"g_ema": {k: v.half() for k, v in ROSINALITY.items()}}, "half precision"),
        ({"g_ema": ROSINALITY | {KERNEL: torch.ones(4, 4)}}, "another resampling filter"),
        ({"g_ema": ROSINALITY | {"convs.9.spade": torch.ones(1)}}, "'convs.9.spade'"),
        ({"g_ema": {"style": {"1": 2}}}, "is no StoredTensor"),
    ],
    ids=["discriminator", "tensor", "half", "filter", "other layer", "nested"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_other_checkpoints_of_torch_are_refused(
    tmp_path: Path, checkpoint: object, message: str, zipped: bool
) -> None:
    path = tmp_path / "g.pt"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=message):
        read_gan(path)


def tensorflow_pickle(monkeypatch: pytest.MonkeyPatch, change: Callable[[dict], None]) -> bytes:
    name_tensorflow_classes(monkeypatch)
    variables = tensorflow_variables(STATE)
    components = {key: Network(variables=variables[key]) for key in ("mapping", "synthesis")}
    state = {"version": 4, "static_kwargs": {}, "components": components}
    state["variables"] = variables[""]
    change(state)
    network = Network(**state)
    return pickle.dumps((network, network, network), 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.update(version=3), "not 4 to 6"),
        (lambda state: state["static_kwargs"].update(resample_kernel=[1, 1]), "filter"),
        (lambda state: state["static_kwargs"].update(mapping_lrmul=1.0), "learning rate"),
        (lambda state: state["components"].pop("mapping"), "components"),
        (
            lambda state: state["components"]["mapping"].variables.append(
                ("LabelConcat/weight", np.zeros((2, 2), np.float32))
            ),
            "a conditional StyleGAN2 of TensorFlow",
        ),
        (lambda state: state["variables"].append(("x",)), "no pair of name and array"),
    ],
    ids=["version", "filter", "learning rate", "components", "labels", "variable"],
)
def test_other_tensorflow_networks_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict], None],
    message: str,
) -> None:
    path = tmp_path / "g.pkl"
    path.write_bytes(tensorflow_pickle(monkeypatch, change))
    with pytest.raises(CheckpointError, match=message):
        read_gan(path)
