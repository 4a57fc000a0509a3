"""Trackers of experiments that a run can be mirrored to: TensorBoard, MLflow and W&B.

All write to local files and ask for no account. An adapter only translates; what is mirrored, and
when, `pipeline.tracking.mirror` decides.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from solvers.extras import extra_package

PROJECT = "vqlso"


class Tracker(Protocol):
    """What a run is mirrored to."""

    @property
    def id(self) -> str:
        """What the tracker calls this run; a resumed run gives it back."""

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Finite figures by name after so many queries."""

    def show(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """A picture, (H, W, 3) uint8."""

    def conclude(self, numbers: Mapping[str, float]) -> None:
        """The finished run's figures, and its end."""

    def flush(self) -> None:
        """Bring everything so far to the disk."""

    def close(self) -> None:
        """Let go of the files, whether the run is finished or not."""


class TensorBoard:
    """Event files in the run's folder: `tensorboard --logdir runs` shows all runs.

    Args:
        folder: of the run.
        name: of the run.
        id_: unused; a folder is found again by its path.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    id = ""

    def __init__(self, folder: Path, name: str, id_: str) -> None:  # noqa: ARG002
        extra_package("tensorboard", "tensorboard")
        writer = extra_package("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self._writer = writer(folder / "tensorboard")
        self._step = 0

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        self._step = step
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def show(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """See `Tracker`."""
        self._writer.add_image(name, picture, step, dataformats="HWC")

    def conclude(self, numbers: Mapping[str, float]) -> None:
        """See `Tracker`; TensorBoard knows no figures of a whole run, so they follow the last."""
        self.log(numbers, self._step)

    def flush(self) -> None:
        """See `Tracker`."""
        self._writer.flush()

    def close(self) -> None:
        """See `Tracker`."""
        self._writer.close()


class MLflow:
    """The database `mlruns/mlflow.db` of the current folder, or MLFLOW_TRACKING_URI.

    MLflow 3 refuses the plain files that it used to keep under `mlruns`.

    Args:
        folder: of the run.
        name: of the run.
        id_: of the MLflow run to continue; empty for a new one.

    Raises:
        MissingExtraError: MLflow is not installed.
    """

    def __init__(self, folder: Path, name: str, id_: str) -> None:  # noqa: ARG002
        client = extra_package("mlflow", "mlflow").MlflowClient
        home = Path("mlruns").absolute()
        given = os.environ.get("MLFLOW_TRACKING_URI")
        if given is None:
            home.mkdir(exist_ok=True)
        self._client = client(tracking_uri=given or f"sqlite:///{home / 'mlflow.db'}")
        self.id = id_ or self._new_run(name, None if given else home.as_uri())

    def _new_run(self, name: str, artifacts: str | None) -> str:
        known = self._client.get_experiment_by_name(PROJECT)
        experiment = (
            known.experiment_id
            if known
            else self._client.create_experiment(PROJECT, artifact_location=artifacts)
        )
        return str(self._client.create_run(experiment, run_name=name).info.run_id)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        for name, value in numbers.items():
            self._client.log_metric(self.id, name, value, step=step)

    def show(self, name: str, picture: NDArray[np.uint8], step: int) -> None:  # noqa: ARG002
        """See `Tracker`."""
        self._client.log_image(self.id, picture, artifact_file=f"{name}.png")

    def conclude(self, numbers: Mapping[str, float]) -> None:
        """See `Tracker`."""
        for name, value in numbers.items():
            self._client.log_metric(self.id, name, value)
        self._client.set_terminated(self.id)

    def flush(self) -> None:
        """The client writes at once."""

    def close(self) -> None:
        """The client keeps nothing open."""


class WandB:
    """Weights & Biases, offline in the run's folder unless WANDB_MODE says otherwise.

    `wandb sync RUN/wandb/offline-*` uploads it later.

    Args:
        folder: of the run.
        name: of the run.
        id_: of the W&B run to continue; empty for a new one.

    Raises:
        MissingExtraError: W&B is not installed.
    """

    def __init__(self, folder: Path, name: str, id_: str) -> None:
        self._wandb = extra_package("wandb", "wandb")
        self._run = self._wandb.init(
            project=PROJECT,
            name=name,
            id=id_ or None,
            resume="allow",
            mode=os.environ.get("WANDB_MODE", "offline"),
            dir=str(folder),
            settings=self._wandb.Settings(silent=True),
        )
        self.id = str(self._run.id)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        self._run.log(dict(numbers), step=step)

    def show(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """See `Tracker`."""
        self._run.log({name: self._wandb.Image(picture)}, step=step)

    def conclude(self, numbers: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self._run.summary.update(dict(numbers))

    def flush(self) -> None:
        """W&B's own process writes at once."""

    def close(self) -> None:
        """See `Tracker`."""
        self._run.finish()


TRACKERS: dict[str, Callable[[Path, str, str], Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
}


def require_installed(tracker: str) -> None:
    """Find a missing package before the run begins.

    Raises:
        MissingExtraError: the tracker's package is not installed.
    """
    if tracker in TRACKERS:
        extra_package(tracker, tracker)
