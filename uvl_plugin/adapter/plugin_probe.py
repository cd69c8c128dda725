"""What FiftyOne sees of the plugin, asked in a process of its own that has a database of its own."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from uvl_plugin.adapter.link import PLUGIN
from uvl_plugin.adapter.mongod import private_mongod
from uvl_plugin.core.errors import UVLError

_CODE = "from uvl_plugin.adapter.plugin_probe import tell; tell()"
_SECONDS = 300


class ProbeError(UVLError):
    """FiftyOne does not start."""


def ask() -> dict:
    """What :func:`tell` tells, from a new process; the user's database is not touched.

    Raises:
        MongodError: if there is no ``mongod`` for it.
        ProbeError: if FiftyOne does not start.
    """
    with tempfile.TemporaryDirectory(prefix="uvl-") as folder, private_mongod(folder):
        try:
            ran = subprocess.run(
                [sys.executable, "-c", _CODE],
                check=False,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                cwd=folder,  # so that a package in the current folder does not count
            )
        except subprocess.TimeoutExpired as error:
            raise ProbeError(f"FiftyOne does not start within {_SECONDS} seconds.") from error
    lines = (ran.stdout if ran.returncode == 0 else ran.stderr).strip().splitlines()
    if ran.returncode:
        raise ProbeError(f"FiftyOne does not start: {lines[-1] if lines else ran.returncode}")
    return json.loads(lines[-1])


def tell() -> None:
    """Writes, as the last line of standard output, a JSON object.

    ``package`` is the folder of ``import uvl_plugin``; ``copies`` are the folders of the plugin,
    of which FiftyOne uses the first; ``enabled``; ``operators`` that load; ``errors`` of others.
    """
    import fiftyone.plugins as fop
    from fiftyone.operators.registry import OperatorRegistry

    import uvl_plugin

    plugins = [p for p in fop.list_plugins(enabled="all") if p.name == PLUGIN]
    registry = OperatorRegistry(enabled=True)
    contexts = [c for c in registry.plugin_contexts if c.name == PLUGIN]
    seen = {
        "package": str(Path(uvl_plugin.__file__).parent),
        "copies": [path for p in plugins for path in (p.directory, *(p.shadow_paths or ()))],
        "enabled": bool(contexts),
        "operators": [operator.name for c in contexts for operator in c.instances],
        "errors": [error.strip().splitlines()[-1] for c in contexts for error in c.errors],
    }
    sys.stdout.write(f"\n{json.dumps(seen)}\n")
