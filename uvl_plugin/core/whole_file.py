"""Files that are there whole, or as they were before."""

import os
import tempfile
from pathlib import Path

PARTIAL = ".partial"  # the end of the name of a file that is not whole yet


def write_whole(path: Path, data: "bytes | memoryview") -> None:
    """Writes a file beside ``path``, and gives it its name when it lies on the disk."""
    handle, partial = tempfile.mkstemp(suffix=PARTIAL, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).chmod(0o644)
        os.replace(partial, path)
    except BaseException:  # a full disk, or ctrl-C
        Path(partial).unlink(missing_ok=True)
        raise
