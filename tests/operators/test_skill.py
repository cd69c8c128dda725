"""The skill file tells agents of every operator, and of nothing that is not there."""

import ast
import contextlib
import functools
import inspect
import re

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.plugins as fop
import pytest
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext, Executor

import uvl_plugin as uvl
from tests.adapter.kinds import make_kind
from tests.private_database import REPOSITORY

NAME = "explore-and-curate"
LEVELS = {"low", "medium", "high", "dangerous"}
FILE = REPOSITORY / "skills" / NAME / "SKILL.md"
TEXT = FILE.read_text(encoding="utf-8")
PARTS = dict(re.findall(r"^### `uvl_plugin/(\w+)`(.*?)(?=^#|\Z)", TEXT, re.DOTALL | re.MULTILINE))
RARE = {"slices", "job", "maps"}  # of grouped datasets, where a job runs, of whole pictures
PIXELS = {"backbone": "pixels"}  # needs no packages
ASKED = {
    "compute_embeddings": [
        PIXELS | {"show_engine": True, "patches_field": "things"},
        PIXELS | {"frames": "stride"},
    ],
    "explore_dataset": [PIXELS],
    "train_backbone": [
        {"show_recipe": True, "patches_field": "things", "augmentation": "photo"},
    ],
    "segment_videos": [{"show_settings": True}],
    "find_poor_images": [{"show_settings": True}],
    "select_samples": [{}, {"run_key": "(no clusters)"}],
    "edit_clusters": [{"edit": edit} for edit in ("rename", "merge", "split", "recut")],
    "name_clusters": [
        {"source": "words", "accept": True}, {"source": "file"}, {"source": "labels"},
    ],
    "find_similar_frames": [{"by": "text"}],
    "export_view": [{}, {"form": "COCODetectionDataset"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def datasets():
    """Objects in images and frames of videos, with clusters, an index and a field of clips."""
    kinds = [make_kind("objects"), make_kind("frames")]
    for kind in kinds:
        kind.cluster(overwrite=True)
        uvl.index(kind.dataset, embeddings=kind.own("emb"), brain_key="similarity", **kind.parts)
    objects, frames = (kind.dataset for kind in kinds)
    objects.tag_samples("pick")
    frames.add_sample_field(
        "events", fo.EmbeddedDocumentField, embedded_doc_type=fo.TemporalDetections
    )
    yield objects, frames
    for dataset in (objects, frames):
        dataset.delete()


@functools.cache
def operators():
    """The operators and panels of the plugin by their names."""
    return {one.name: one for one in foo.list_operators() if one.uri.startswith("uvl_plugin/")}


def registered():
    """Names of the operators that the plugin has, without its panels."""
    return sorted(name for name, one in operators().items() if not isinstance(one, foo.Panel))


def inputs_of(name, dataset, params):
    """What a form asks for: type by name, notices left out."""
    context = ExecutionContext(
        {"dataset_name": dataset.name, "params": dict(params)}, executor=Executor()
    )
    found = operators()[name].resolve_input(context).type.properties
    return {key: prop.type for key, prop in found.items() if not isinstance(prop.type, types.Void)}


def documented(name):
    rows = re.findall(r"^\| `(\w+)` \|", PARTS[name], re.MULTILINE)
    assert len(rows) == len(set(rows))
    return set(rows)


def test_fiftyone_lists_the_skill():
    (skill,) = fop.list_skills(plugin="uvl_plugin")
    assert skill.name == NAME
    assert skill.category == "curation"
    assert len(skill.description) > 100
    assert skill.content == TEXT


def test_every_operator_is_in_the_skill_file_and_nothing_else():
    assert sorted(PARTS) == registered()


def test_each_part_tells_risk_label_and_how_to_call_it_from_python():
    for name, part in PARTS.items():
        one = operators()[name]
        assert part.startswith(f": {one.config.label}\n"), name
        assert f"Risk: **{one.config.risk_level.value}**" in part, name
        assert "Python" in part, name


def test_only_what_leaves_the_dataset_is_dangerous():
    """An operator that states no risk counts as dangerous in FiftyOne, so it fails here."""
    levels = {name: operators()[name].config.risk_level.value for name in registered()}
    dangerous = {name for name, level in levels.items() if level == "dangerous"}
    assert dangerous == {"write_report", "export_view", "send_to_annotation"}
    assert set(levels.values()) == LEVELS


@pytest.mark.parametrize("name", sorted(PARTS))
def test_the_parameters_are_those_of_the_form(name, datasets):
    asked, possible = set(), set()
    for dataset in datasets:
        for params in ASKED.get(name, [{}]):
            found = inputs_of(name, dataset, params)
            possible |= set(found)
            asked |= {key for key, kind in found.items() if not isinstance(kind, types.Object)}
    assert asked <= documented(name)
    assert documented(name) <= possible | RARE


def calls():
    """Every call of the package in the file: name of the function, and the call."""
    code = re.findall(r"`([^`]*uvl\.[^`]*)`", TEXT)
    for text in code:
        with contextlib.suppress(SyntaxError):
            for node in ast.walk(ast.parse(text)):
                of = getattr(getattr(node, "func", None), "value", None)
                if getattr(of, "id", "") == "uvl":
                    yield node.func.attr, node


def test_the_calls_from_python_are_possible():
    found = list(calls())
    assert len({name for name, _ in found}) > 25
    for name, call in found:
        keywords = {keyword.arg: None for keyword in call.keywords}
        inspect.signature(getattr(uvl, name)).bind(*call.args, **keywords)
