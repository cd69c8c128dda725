"""Backbones as models of FiftyOne's zoo: ``foz.load_zoo_model("uvl/...")`` in any process.

There are two sources. The presets are in ``manifest.json`` at the root of this project, for
``foz.register_zoo_model_source``. Any other backbone is written, settings and all, into
``uvl-local`` in the folder of FiftyOne's zoo, so that a similarity index can name its model.

In both, the file of a model holds its backbone and settings as JSON; the weights are fetched
as :meth:`~uvl_plugin.backbones.base.Backbone.load` fetches them.
"""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvl_plugin.backbones.base import Backbone, backbones
from uvl_plugin.core.errors import DataError, UVLError

if TYPE_CHECKING:
    import fiftyone.operators as foo
    from fiftyone.operators import types

    from uvl_plugin.adapter.model import EmbeddingModel

_PREFIX = "uvl/"
_LOCAL = "uvl-local"  # not within 'uvl': FiftyOne looks for no source inside another
_SETTINGS_FILE = "backbone.json"
_PROJECT = Path(__file__).resolve().parents[2]
_ENTRY = '''"""A backbone that UVL put into FiftyOne's zoo."""

from uvl_plugin.adapter.zoo_source import (
    download_model,
    load_model,
    parse_parameters,
    resolve_input,
)
'''


def register(backbone: Backbone) -> str:
    """Puts a backbone into the zoo of this machine, if it is not there yet.

    Each backbone is a source of its own in a folder of its own, which is renamed into place:
    processes that register at the same time do not disturb each other.

    Returns:
        The name for ``foz.load_zoo_model``: equal settings, equal name.

    Raises:
        UVLError: if the folder of the zoo cannot be written.
    """
    import fiftyone as fo

    key = f"{backbone.name}-{hashlib.sha256(backbone.space.encode()).hexdigest()[:12]}"
    folder = Path(fo.config.model_zoo_dir, _LOCAL, key)
    try:
        if not (folder / _SETTINGS_FILE).is_file():
            _write_source(folder, key, backbone)
    except OSError as error:
        raise UVLError(
            f"'{folder}' cannot be written ({error.strerror}), where FiftyOne's zoo would look "
            f"for {backbone.label}; make it writable, or set FIFTYONE_MODEL_ZOO_DIR."
        ) from error
    return _PREFIX + key


def _write_source(folder: Path, key: str, backbone: Backbone) -> None:
    entry = {
        "base_name": _PREFIX + key,
        "base_filename": _SETTINGS_FILE,
        "description": f"{backbone.label}: {_changed_settings(backbone)}",
        **_tags(backbone),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    # hidden, so that FiftyOne does not find it before it is complete
    new = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        (new / "__init__.py").write_text(_ENTRY)
        kept = {**_kept(backbone), "space": backbone.space}
        (new / _SETTINGS_FILE).write_text(_json(kept))
        (new / "manifest.json").write_text(_json({"name": f"{_LOCAL}/{key}", "models": [entry]}))
        new.chmod(0o755)
        _move(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _move(new: Path, folder: Path) -> None:
    """Renames a folder into place, unless another process did so; completes a damaged one."""
    try:
        new.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        for file in new.iterdir():
            os.replace(file, folder / file.name)


def preset_manifest() -> dict[str, Any]:
    """The content of ``manifest.json`` at the root of this project, where it is called."""
    from uvl_plugin.backbones.presets import presets

    models = [
        {
            "base_name": _PREFIX + preset.name,
            "base_filename": f"{preset.name}.json",
            "description": f"{preset.label}: {preset.good_for}",
            "license": preset.licence,
            "size_bytes": round(preset.megabytes * 1e6),
            "requirements": {"packages": _requirements()},
            **_tags(preset.backbone),
        }
        for preset in presets.values()
    ]
    return {"name": "uvl", "models": models}


def download_model(model_name: str, model_path: str) -> None:
    """FiftyOne calls it where a model's file is missing: writes the settings of a preset."""
    from uvl_plugin.backbones.presets import presets

    preset = presets.get(model_name.removeprefix(_PREFIX))
    if preset is None:
        raise DataError(
            f"The settings of '{model_name}' are gone from '{model_path}'; make the similarity "
            "index that uses it again."
        )
    Path(model_path).write_text(_json(_kept(preset.backbone)))


def load_model(model_name: str, model_path: str, device: str = "auto") -> "EmbeddingModel":
    """FiftyOne calls it in ``foz.load_zoo_model``.

    Raises:
        DataError: if the file of the model is damaged.
        UVLError: what loading the backbone raises.
    """
    from uvl_plugin.adapter.model import EmbeddingModel

    try:
        kept = json.loads(Path(model_path).read_text())
        name, settings = kept["backbone"], kept["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"'{model_path}' does not hold the settings of '{model_name}' ({error}); delete it, "
            "and make the similarity index that uses it again."
        ) from error
    backbone = backbones[name].from_dict(settings)
    if kept.get("space", backbone.space) != backbone.space:
        raise DataError(
            f"'{model_name}' was {kept['space']}, which has been replaced by {backbone.space}; "
            "embed the samples again, and make the similarity index that uses it again."
        )
    return EmbeddingModel(backbone.load(device))


def resolve_input(model_name: str, ctx: "foo.ExecutionContext") -> "types.Property":
    """FiftyOne calls it where an operator's form offers the model."""
    from fiftyone.operators import types

    inputs = types.Object()
    inputs.str(
        "device", default="auto", label="Device", description="auto, cpu, cuda, cuda:1 or mps."
    )
    return types.Property(inputs)


def parse_parameters(model_name: str, ctx: "foo.ExecutionContext", params: dict) -> None:
    """FiftyOne calls it with what the form gave: an emptied input is the default."""
    if not params.get("device"):
        params.pop("device", None)


def _tags(backbone: Backbone) -> dict[str, Any]:
    tags = ["embeddings", "torch", "uvl"]
    return {"tags": [*tags, "text-embeddings"] if backbone.has_text else tags}


def _requirements() -> list[str]:
    """The packages of this project that are the same on every machine."""
    lines = (_PROJECT / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#") and ";" not in line]


def _changed_settings(backbone: Backbone) -> str:
    changed = {
        spec.name: value
        for spec in backbone.specs()
        if (value := getattr(backbone, spec.name)) != spec.default
    }
    return ", ".join(f"{name}={value}" for name, value in changed.items()) or "default settings"


def _kept(backbone: Backbone) -> dict[str, Any]:
    return {"backbone": backbone.name, "settings": backbone.to_dict()}


def _json(content: dict) -> str:
    return json.dumps(content, indent=2) + "\n"


if __name__ == "__main__":  # python -m uvl_plugin.adapter.zoo_source
    (_PROJECT / "manifest.json").write_text(_json(preset_manifest()))
