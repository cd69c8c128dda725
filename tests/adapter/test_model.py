import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl

PIXELS = uvl.Pixels(size=8)
NETWORK = uvl.TorchVision(model="squeezenet1_1", weights="untrained")


@pytest.fixture
def photos(tmp_path, real_data):
    """Photos in every form that files come in."""
    flowers = sorted((real_data / "images" / "flowers5").glob("*/*.jpg"))[::120]
    photo = Image.open(flowers[0]).convert("RGB")
    grey = np.asarray(photo.convert("L"))
    forms = {
        "grey.png": photo.convert("L"),
        "palette.png": photo.quantize(64),
        "rgba.png": photo.convert("RGBA"),
        "cmyk.jpg": photo.convert("CMYK"),
        "sixteen.png": Image.fromarray(grey.astype(np.uint16) * 257),
    }
    clear = np.asarray(photo.convert("RGBA")).copy()
    clear[: len(clear) // 2, :, 3] = 0
    forms["clear.png"] = Image.fromarray(clear)
    paths = []
    for name, image in forms.items():
        paths.append(tmp_path / name)
        image.save(paths[-1])
    rotated = (real_data / "images_unlabelled" / "exif_orientation").glob("*_[3568].jpg")
    return [*paths, *flowers, *sorted(rotated)]


def cosines(first, second):
    first, second = np.stack(first), np.stack(second)
    products = (first * second).sum(axis=1)
    return products / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)


@pytest.mark.real_data
@pytest.mark.parametrize("backbone", [PIXELS, NETWORK], ids=["pixels", "network"])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_fiftyones_own_calls_write_the_same_vectors(make_dataset, photos, backbone, num_workers):
    dataset = make_dataset(photos)
    assert uvl.embed(dataset, backbone, "emb").failures == {}
    model = uvl.load_model(backbone)
    how = {"batch_size": 4, "num_workers": num_workers}
    dataset.compute_embeddings(model, embeddings_field="computed", **how)
    dataset.apply_model(model, label_field="applied", **how)
    emb, computed, applied = dataset.values(["emb", "computed", "applied"])
    assert cosines(emb, computed).min() >= 0.99999
    assert cosines(emb, applied).min() >= 0.99999
    assert cosines(emb, dataset.compute_embeddings(model)).min() >= 0.99999
    assert applied[0].dtype == computed[0].dtype == np.float32


def test_apply_model_isolates_bad_files(make_dataset, digit_files, bad_files):
    paths = [path for path, _ in digit_files[:12]]
    paths[5:5] = [str(bad) for bad in bad_files.values()]
    dataset = make_dataset(paths)
    dataset.apply_model(uvl.load_model(PIXELS), label_field="emb", batch_size=8, num_workers=0)
    bad = set(dataset.exists("emb", False).values("filepath"))
    assert bad == {str(path) for path in bad_files.values()}


def test_a_model_takes_arrays_and_images(digit_files):
    model = uvl.load_model(PIXELS)
    image = Image.open(digit_files[0][0]).convert("RGB")
    vector = model.predict(np.asarray(image))
    assert np.array_equal(vector, model.embed(image))
    assert np.array_equal(model.get_embeddings(), vector[None])
    assert model.media_type == "image"


@pytest.mark.parametrize("algorithm", [uvl.KMeans(), uvl.KMeans(spherical=False), uvl.HDBSCAN()])
def test_a_labeller_puts_images_into_the_clusters_of_a_run(digits, make_dataset, algorithm):
    view = digits.take(150, seed=1)
    uvl.embed(view, PIXELS, "emb")
    uvl.cluster(view, algorithm, embeddings="emb", run_key="look")
    labeller = uvl.load_model(run_key="look", dataset=digits)
    new = make_dataset(digits.values("filepath"), digits.values("label.label"))
    new.apply_model(labeller, label_field="cluster", batch_size=16, num_workers=0)
    found = dict(zip(*new.values(["filepath", "cluster"]), strict=True))
    names = set(digits.distinct("cluster.label")) - {"look noise"}
    assert {label.label for label in found.values()} <= names
    assert all(0 < label.confidence <= 1 for label in found.values())
    if isinstance(algorithm, uvl.KMeans):
        for sample in view:
            assert found[sample.filepath].label == sample["cluster"].label
            assert found[sample.filepath].confidence == pytest.approx(
                sample["cluster"].confidence, abs=1e-4
            )
        assert uvl.evaluate(new, "cluster", ground_truth="label").accuracy > 0.65


def test_a_labeller_needs_a_clustering_of_known_vectors(digits):
    with pytest.raises(uvl.DataError, match="no run 'nope'"):
        uvl.load_model(run_key="nope", dataset=digits)
    uvl.embed(digits, PIXELS, "emb")
    with pytest.raises(uvl.DataError, match="'embed_emb' is not a clustering"):
        uvl.load_model(run_key="embed_emb", dataset=digits)
    digits.clone_sample_field("emb", "foreign")
    field = digits.get_field("foreign")
    field.info = None
    field.save()
    uvl.cluster(digits, uvl.KMeans(), embeddings="foreign", run_key="look")
    with pytest.raises(uvl.DataError, match="not known which backbone made the vectors"):
        uvl.load_model(run_key="look", dataset=digits)


def test_load_model_takes_one_or_the_other(digits):
    for arguments in ({}, {"run_key": "look"}, {"backbone": PIXELS, "run_key": "look"}):
        with pytest.raises(uvl.SettingsError, match="either a backbone, or run_key and dataset"):
            uvl.load_model(**arguments)
