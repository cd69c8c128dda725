"""FiftyOne's entry to the plugin: makes ``uvl_plugin`` importable and registers operators and panels.

It is also the entry to a source of models, whose list is ``manifest.json``: FiftyOne copies
this folder into its model zoo and asks this module for the functions in ``_ZOO``.
"""

import importlib
import importlib.util
import sys
import sysconfig
from pathlib import Path

_FOLDER = str(Path(__file__).resolve().parent)
_ZOO = ("download_model", "load_model", "resolve_input", "parse_parameters")


def _make_importable() -> None:
    """Lets this and every later process of the environment import ``uvl_plugin`` by name.

    Run records name their classes, and notebooks and workers must find them. After
    ``pip install`` there is nothing to do; a plugin that FiftyOne downloaded is added to the
    environment with a path file, as an editable install would. A copy in the model zoo is
    not: it must not stand in for a plugin that is downloaded later.
    """
    if importlib.util.find_spec("uvl_plugin") is not None:
        return
    sys.path.append(_FOLDER)  # last: the folder also holds top-level names such as 'tests'
    if not __name__.startswith("fiftyone.plugins."):
        return
    try:
        Path(sysconfig.get_path("purelib"), "uvl_plugin.pth").write_text(f"{_FOLDER}\n")
    except OSError:  # a read-only environment: processes that load plugins still find it
        return


_make_importable()


def register(plugin):
    """Called by FiftyOne with its plugin context."""
    from .operators import OPERATORS, PANELS

    importlib.import_module("uvl_plugin.adapter.similarity_faiss").register()
    for cls in (*OPERATORS, *PANELS):
        plugin.register(cls)


def __getattr__(name):
    if name not in _ZOO:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("uvl_plugin.adapter.zoo_source"), name)
