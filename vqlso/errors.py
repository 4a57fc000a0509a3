"""One tree of exceptions: everything the project raises on purpose derives from `VqlsoError`.

The command line prints the message of a `VqlsoError` as one paragraph and exits with its
`exit_code`; anything else is a defect and keeps its traceback.
"""


class VqlsoError(Exception):
    """Root of the tree. The message names the thing at fault and the remedy."""

    exit_code = 1


class ConfigError(VqlsoError):
    """An experiment, key or value of the configuration that cannot be used."""

    exit_code = 2


class DataError(VqlsoError):
    """A data set that is missing, empty, damaged or of the wrong shape."""

    exit_code = 3


class CheckpointError(VqlsoError):
    """A weights file that is missing, damaged or of another architecture."""

    exit_code = 4


class TrainingError(VqlsoError):
    """A fit whose loss left the finite numbers."""


class LatentSpaceError(VqlsoError):
    """A latent of the wrong space, shape, range or generator version."""


class ObjectiveError(VqlsoError):
    """The black box failed too often in a row, or returned the wrong shape."""


class SolverError(VqlsoError):
    """A solver was used wrongly, or an inner optimiser could not solve its instance."""


class VerificationError(SolverError):
    """An inner optimiser's claim disagrees with the surrogate's own prediction."""


class RunFolderError(VqlsoError):
    """A run folder that cannot be written, read or resumed."""

    exit_code = 5


class StudyError(VqlsoError):
    """A study whose runs failed, whose cluster cannot be reached or whose folder is in use."""

    exit_code = 6


class MissingExtraError(VqlsoError):
    """An optional package is needed and not installed; the message says how to install it."""
