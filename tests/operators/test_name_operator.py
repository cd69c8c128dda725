"""The operator that suggests names for clusters, used as the App uses it."""

import pytest
from fiftyone.operators.executor import ExecutionError

import uvl_plugin as uvl
from tests.operators.test_cluster_operators import said
from tests.operators.test_operators import execute, form, messages, started
from uvl_plugin.adapter.proposals import read_proposals

KINDS = ["daisy", "roses", "sunflowers"]
WORDS = "daisy, rose, sunflower, dog, cat, airliner, teapot, sock"


@pytest.fixture
def clustered(digits):
    uvl.embed(digits, uvl.Pixels(size=8), "emb")
    uvl.cluster(digits, uvl.KMeans(n_clusters=6, seed=3), embeddings="emb", run_key="look")
    return digits


@pytest.fixture
def clip(real_data):
    return str(real_data / "weights" / "open_clip" / "uvl-mnv2-minitext")


@pytest.fixture
def flowers(make_dataset, real_data, clip):
    """6 flowers of three kinds, in clusters of a network that knows their names."""
    folders = [real_data / "images" / "flowers5" / kind for kind in KINDS]
    paths = [path for folder in folders for path in sorted(folder.glob("*.jpg"))[:6]]
    dataset = make_dataset(paths, [path.parent.name for path in paths])
    uvl.embed(dataset, uvl.OpenCLIP(model=clip), "clip", device="cpu")
    uvl.cluster(dataset, uvl.KMeans(n_clusters=3), embeddings="clip", run_key="look")
    return dataset


def run(dataset, **params):
    """What the operator tells the App."""
    return messages(started("name_clusters", dataset, params))


def test_labels_are_suggested_and_the_message_says_so(clustered):
    told = run(clustered, source="labels")
    severity, text = said(told)
    assert severity == "success"
    assert text.startswith("Names for 6 of 6 clusters, from the labels in 'label'. look 00: ")
    assert text.endswith("and more. The panel Clusters shows them, to be accepted.")
    assert len(read_proposals(clustered, "look")) == 6
    assert uvl.clusters(clustered, "look").names[0] == "look 00"


def test_names_are_accepted_at_once(clustered):
    told = run(clustered, source="labels", accept=True, minimum=0.5)
    assert "were renamed" in said(told)[1]
    assert any(params == {"fields": ["cluster"]} for _, params in told)
    names = uvl.clusters(clustered, "look").names
    proposed = read_proposals(clustered, "look")
    for number, name in enumerate(names):
        best = proposed[number][0]
        assert name.startswith(best.name if best.score >= 0.5 else "look")
    assert any(not name.startswith("look") for name in names)
    assert any(name.startswith("look") for name in names)


def test_the_form_asks_for_what_the_source_needs(clustered):
    assert form("name_clusters", clustered, {"source": "labels"})["labels"].default == "label"
    assert "backbone" not in form("name_clusters", clustered, {"source": "labels"})
    inputs = form("name_clusters", clustered, {"source": "words", "backbone": "zoo"})
    choices = [choice.value for choice in inputs["backbone"].view.choices]
    assert {"open_clip", "zoo"} <= set(choices)
    assert not {"torchvision", "timm", "pixels", "suitable"} & set(choices)
    assert "minimum" not in inputs
    assert "minimum" in form("name_clusters", clustered, {"source": "labels", "accept": True})


@pytest.mark.parametrize(
    ("params", "where", "message"),
    [
        ({"source": "words", "words": " ,"}, "source", "has no words"),
        ({"source": "file", "file": "/nowhere/nouns.txt"}, "source", "There is no file"),
        ({"source": "file", "file": "/etc/passwd"}, "source", "no .txt file"),
        ({"source": "words", "words": "a", "open_clip": {"model": "x"}}, "model", "no model 'x'"),
        ({"source": "labels", "accept": True, "minimum": 3}, "minimum", "must be 0 to 1, got 3"),
    ],
)
def test_what_is_wrong_is_said_at_its_input(clustered, params, where, message):
    prop = form("name_clusters", clustered, params)[where]
    assert prop.invalid
    assert message in prop.error_message


def test_without_labels_or_clusters_the_form_says_so(clustered, digits):
    clustered.delete_sample_field("label")
    prop = form("name_clusters", clustered, {"source": "labels"})["labels"]
    assert "no field of labels" in prop.error_message
    clustered.delete_run("look")
    assert "no clustering yet" in form("name_clusters", clustered)["run_key"].error_message


def test_a_wrong_question_is_refused_by_the_operator_too(clustered):
    with pytest.raises(ExecutionError, match="minimum must be 0 to 1"):
        execute("name_clusters", clustered, {"source": "labels", "minimum": 2})
    assert read_proposals(clustered, "look") == {}


@pytest.mark.real_data
def test_words_are_compared_with_the_runs_own_vectors(flowers, tmp_path):
    inputs = form("name_clusters", flowers, {"source": "words", "words": WORDS})
    assert inputs["backbone"].default == "suitable"
    assert not any(prop.invalid for prop in inputs.values())
    run(flowers, source="words", words=WORDS)
    typed = read_proposals(flowers, "look")
    assert {names[0].name for names in typed.values()} == {"daisy", "rose", "sunflower"}
    file = tmp_path / "nouns.txt"
    file.write_text(WORDS.replace(", ", "\n"))
    run(flowers, source="file", file=str(file), several_prompts=True, per_cluster=4)
    assert {names[0].name for names in read_proposals(flowers, "look").values()} == {
        "daisy", "rose", "sunflower",
    }  # fmt: skip


@pytest.mark.real_data
def test_a_network_that_is_chosen_reads_the_pictures(flowers, clip):
    flowers.set_values("clip", [None] * len(flowers))
    flowers.delete_run("look")
    uvl.embed(flowers, uvl.Pixels(size=4), "emb")
    uvl.cluster(flowers, uvl.KMeans(n_clusters=2), embeddings="emb", field="c", run_key="pixels")
    told = run(
        flowers, source="words", words=WORDS, backbone="open_clip", open_clip={"model": clip}
    )
    assert said(told)[1].startswith("Names for 2 of 2 clusters, from 8 words of the list.")
