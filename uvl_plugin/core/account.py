"""Who works here, where nobody says."""

import getpass


def account() -> str:
    """Name of the account that this process runs under; empty where it has none, as in some
    containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
