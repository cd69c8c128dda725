"""The README tells the truth: its Python runs, and the files it names are there."""

import re
import shutil
from pathlib import Path

import pytest

from tests.fiftyone_fixtures import *  # the fixtures, and FiftyOne on a private database
from tests.private_database import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def untrained_downloads(monkeypatch):
    """Random weights in place of those that would be downloaded."""
    from uvl_plugin.backbones import hub, torchvision

    weights = torchvision.build("mobilenet_v2", 224).state_dict()
    monkeypatch.setattr(hub.Published, "tensors", lambda published: weights)


@pytest.fixture
def folders(tmp_path, monkeypatch, digit_files):
    from uvl_plugin.adapter.demo_clips import planned_clips, write_clip

    monkeypatch.setenv("UVL_CHECKPOINTS", str(tmp_path / "checkpoints"))
    for folder, files in (("photos", digit_files[::4]), ("new_photos", digit_files[1::20])):
        (tmp_path / folder).mkdir()
        for path, _ in files:
            shutil.copy(path, tmp_path / folder)
    for clip in planned_clips(2):
        write_clip(clip, tmp_path / "videos")
    monkeypatch.setenv("UVL_FRAMES", str(tmp_path / "frames"))
    monkeypatch.chdir(tmp_path)


def test_the_lines_for_users_run(folders, untrained_downloads, capsys):
    import fiftyone as fo

    names = {}
    usage = [block for block in BLOCKS if not block.startswith("# uvl_plugin/")]
    assert len(usage) == 9
    exec(usage[0], names)  # noqa: S102  our own README
    exec(usage[1], names)  # noqa: S102
    labels = [fo.Classification(label=path[-10]) for path in names["dataset"].values("filepath")]
    names["dataset"].set_values("label", labels)
    exec(usage[2], names)  # noqa: S102
    said = capsys.readouterr().out
    assert re.search(r"accuracy +0\.\d+", said)
    assert len(names["new"].exists("cluster")) == 10
    assert names["dataset"].list_brain_runs() == ["mobilenet_map", "mobilenet_sim"]
    box = fo.Detection(label="x", bounding_box=[0.1, 0.1, 0.8, 0.8])
    sample = names["dataset"].first()
    sample["ground_truth"] = fo.Detections(detections=[box])
    sample.save()
    exec(usage[3], names)  # noqa: S102
    label = names["dataset"].first()["ground_truth"].detections[0]
    assert len(names["dataset"].exists("small")) == len(names["dataset"].exists("tiny")) == 50
    assert len(label["crop"]) == len(label["again"]) == 768
    exec(usage[4], names)  # noqa: S102
    assert len(names["dataset"].exists("learned")) == 50
    assert capsys.readouterr().out.startswith("pixels")
    exec(usage[5], names)  # noqa: S102
    said = capsys.readouterr().out
    assert "renamed" in said
    assert "flowers has" in said
    assert "ARI" in said
    assert len(names["dataset"].exists("why")) > 0
    exec(usage[6], names)  # noqa: S102
    said = capsys.readouterr().out
    assert "'sim' holds 50 images" in said
    assert len(names["similar"]) == 25
    assert "of 50 images are near-duplicates" in said
    assert "None of 50 files" in said
    assert "of 50 images are outliers" in said
    assert len(names["dataset"].exists("uniqueness")) >= 50
    assert "10 images embedded into 'mobilenet'" in said
    exec(usage[7], names)  # noqa: S102
    check_workbench(names, capsys.readouterr().out)
    exec(usage[8], names)  # noqa: S102
    check_videos(names, capsys.readouterr().out)
    for name in ("dataset", "new", "videos"):
        names[name].delete()


def check_workbench(names, said):
    assert "20 of 60 images are picked" in said
    assert "images got a label in 'kind'" in said
    assert Path("report.html").read_text().startswith("<!DOCTYPE html>")
    assert names["dataset"].count_sample_tags()["keep"] == 20


def check_videos(names, said):
    assert re.search(r"2 videos have \d+ segments of \d+ scenes", said)
    assert "2 videos have a new vector in 'vector'" in said
    assert len(names["videos"].exists("vector")) == 2
    assert names["videos"].count("frames.cluster") == names["videos"].count("frames.emb") > 50
    assert len(names["found"].frames) == len(names["view"]) == 8


def test_the_files_to_add_keep_the_contract(digits, monkeypatch, tmp_path):
    import uvl_plugin as uvl
    from uvl_plugin.backbones.base import backbones
    from uvl_plugin.clustering.base import clusterers
    from uvl_plugin.training.methods.base import methods

    monkeypatch.setenv("UVL_CHECKPOINTS", str(tmp_path))
    for registry in (backbones, clusterers, methods):
        registry.names()
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    files = [block for block in BLOCKS if block.startswith("# uvl_plugin/")]
    assert len(files) == 3
    for block in files:
        exec(block, {"__name__": "added"})  # noqa: S102
    uvl.embed(digits, uvl.AverageColour(tiles=4), "colour")
    result = uvl.cluster(digits, uvl.MeanShift(), embeddings="colour", run_key="added")
    assert result.n_clusters >= 1
    assert len(digits.exists("cluster")) == 200
    trained = uvl.train(digits, "alignment", name="added", epochs=12, batch_size=32)
    losses = [entry.loss for entry in trained.outcome.curve]
    assert sum(losses[-3:]) < sum(losses[:3])
    for name in ("AverageColour", "MeanShift", "Alignment"):
        vars(uvl).pop(name, None)


def test_its_table_of_presets_is_up_to_date():
    from uvl_plugin.backbones.presets import presets

    for preset in presets.values():
        size = preset.megabytes or "-"
        row = (
            f"| `{preset.name}` | {preset.good_for} | {preset.dim:,} | {size} | {preset.licence} |"
        )
        assert row in README


@pytest.mark.parametrize("path", re.findall(r"\]\(((?!http)[^)#]+)\)", README))
def test_what_it_links_to_is_there(path):
    assert (REPOSITORY / path).exists()


@pytest.mark.parametrize("target", re.findall(r"`make ([a-z-]+)", README))
def test_the_commands_it_names_are_there(target):
    assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
