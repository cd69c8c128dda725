"""What can go wrong, as one family: every message says what, where and how to mend it."""


class UVLError(Exception):
    """Any error that a user can mend; ``str(error)`` is made to be shown as it is.

    Attributes:
        argument: name of the setting or argument that is wrong, so that a form can mark it.
    """

    def __init__(self, message: str, argument: str | None = None):
        super().__init__(message)
        self.argument = argument


class SettingsError(UVLError, ValueError):
    """A setting or an argument has a value that it cannot have."""


class DataError(UVLError, ValueError):
    """The data, or what is stored with it, does not allow what was asked."""


class WeightsError(UVLError):
    """Weights cannot be found, fetched or fitted to the network."""


class MissingPackageError(UVLError, ImportError):
    """A package that is needed is not installed."""


class Cancelled(UVLError):
    """The work was stopped on request; raise it in a progress callback to stop."""


class BrokenIndexError(UVLError):
    """The files of a similarity index are missing, damaged or of something else."""
