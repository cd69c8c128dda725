import pickle

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
import torch
from PIL import Image

import uvl_plugin as uvl
from uvl_plugin.adapter.model import EmbeddingModel
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import crop

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


def test_compute_embeddings_gives_up_only_the_batch_of_a_bad_file(
    make_dataset, digit_files, bad_files
):
    paths = [path for path, _ in digit_files[:6]]
    dataset = make_dataset([*paths[:3], bad_files["empty file"], *paths[3:]])
    model = uvl.load_model(PIXELS)
    vectors = dataset.compute_embeddings(model, num_workers=0)  # in batches of one
    assert [vector is None for vector in vectors] == [False] * 3 + [True] + [False] * 3
    dataset.compute_embeddings(model, embeddings_field="emb", batch_size=4, num_workers=0)
    assert [vector is None for vector in dataset.values("emb")] == [True] * 4 + [False] * 3


@pytest.fixture
def objects(make_dataset, tmp_path):
    """Five images with boxes, and with polylines around the same boxes; the last has none."""
    dataset, random = make_dataset([]), np.random.default_rng(0)
    for number in range(5):
        path = tmp_path / f"{number}.png"
        pixels = random.integers(0, 256, (60 + number, 80, 3), np.uint8)
        Image.fromarray(pixels).resize((160, 120)).save(path)
        boxes = [(x, y, 0.31, 0.4) for x, y in random.uniform(0, 0.6, (number % 4, 2))]
        sample = fo.Sample(filepath=str(path))
        sample["boxes"] = fo.Detections(
            detections=[fo.Detection(label="a", bounding_box=list(box)) for box in boxes]
        )
        sample["lines"] = fo.Polylines(
            polylines=[
                fo.Polyline(points=[[(x, y), (x + w, y), (x + w, y + h), (x, y + h)]], closed=True)
                for x, y, w, h in boxes
            ]
        )
        dataset.add_sample(sample)
    return dataset


@pytest.mark.parametrize("backbone", [PIXELS, NETWORK], ids=["pixels", "network"])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_patch_gets_the_vector_of_its_crop(objects, backbone, num_workers):
    encoder = backbone.load("cpu")
    model = EmbeddingModel(encoder)
    for field, labels in (("boxes", "detections"), ("lines", "polylines")):
        objects.compute_patch_embeddings(
            model, field, embeddings_field="vec", batch_size=2, num_workers=num_workers
        )
        found, expected = [], []
        for sample in objects:
            image = read_image(sample.filepath)
            for box, label in zip(sample.boxes.detections, sample[field][labels], strict=True):
                found.append(label["vec"])
                expected.append(encoder.encode([encoder.preprocess(crop(image, box.bounding_box))]))
        assert len(found) == 6
        assert np.stack(found) == pytest.approx(np.concatenate(expected), rel=1e-4, abs=1e-4)


def test_the_brain_takes_a_model(digits):
    model = uvl.load_model(PIXELS)
    index = fob.compute_similarity(
        digits, model=model, brain_key="sim", batch_size=64, num_workers=0, progress=False
    )
    assert index.total_index_size == len(digits)
    query = digits.first()
    nearest = digits.sort_by_similarity(query.id, k=10, brain_key="sim").values("label.label")
    assert nearest.count(query["label"].label) >= 8
    results = fob.compute_visualization(
        digits, model=model, method="pca", batch_size=64, num_workers=0, progress=False
    )
    assert results.points.shape == (len(digits), 2)


def test_a_model_takes_every_form_of_image(digit_files):
    model = uvl.load_model(PIXELS)
    image = Image.open(digit_files[0][0]).convert("RGB")
    pixels = np.asarray(image)
    vector = model.predict(pixels)
    assert vector.dtype == np.float32
    assert np.array_equal(model.get_embeddings(), vector[None])
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    forms = [
        image, image.convert("L"), image.convert("RGBA"), image.quantize(256), pixels[..., 0],
        pixels[..., :1], np.asarray(image.convert("RGBA")), tensor, tensor.float() / 255,
    ]  # fmt: skip
    for form in forms:
        assert np.array_equal(model.embed(form), vector)
    assert model.embed_all(np.stack([pixels] * 3)).shape == (3, len(vector))
    assert model.embed_all([]).shape == (0, len(vector))
    assert model.predict_all([]) == []


def test_other_processes_can_be_sent_what_reads_the_images(digit_files):
    """Workers of a DataLoader are not forked everywhere."""
    model = uvl.load_model(PIXELS)
    get_item, transforms = pickle.loads(pickle.dumps((model.build_get_item(), model.transforms)))
    path = digit_files[0][0]
    assert torch.equal(get_item({"filepath": path}), transforms(Image.open(path)))


def test_prompts_are_for_backbones_with_a_text_tower():
    model = uvl.load_model(PIXELS)
    assert model.can_embed_prompts is False
    with pytest.raises(uvl.DataError, match="no text tower"):
        model.embed_prompt("a rose")
    encoder = PIXELS.load("cpu")
    encoder.embed_texts = lambda texts: torch.tensor([[len(text), 1.0] for text in texts])
    model = EmbeddingModel(encoder)
    assert model.can_embed_prompts is True
    assert model.embed_prompt("rose").tolist() == [4, 1]
    vectors = model.embed_prompts(("rose", "tulip"))
    assert vectors.tolist() == [[4, 1], [5, 1]]
    assert vectors.dtype == np.float32


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
        assert uvl.evaluate(new, "cluster", ground_truth="label").agreement.accuracy > 0.65


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
