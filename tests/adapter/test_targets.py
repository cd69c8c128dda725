"""What is embedded: images, slices of groups, objects in images."""

import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import crop

PIXELS = uvl.Pixels(size=4)
BOXES = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.2, 0.9]]


def embedded_alone(image):
    encoder = PIXELS.load("cpu")
    return encoder.encode([encoder.preprocess(image)])[0]


@pytest.fixture
def paths(tmp_path):
    random = np.random.default_rng(0)
    paths = []
    for number in range(6):
        paths.append(str(tmp_path / f"{number}.png"))
        pixels = random.integers(0, 256, (40 + number, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(paths[-1])
    return paths


@pytest.fixture
def objects(make_dataset, paths):
    """Six images with 0 to 3 detections, an outline, and one single detection."""
    import fiftyone as fo

    dataset = make_dataset(paths)
    for number, sample in enumerate(dataset):
        boxes = BOXES[: number % 4]
        sample["boxes"] = fo.Detections(
            detections=[fo.Detection(label=str(i), bounding_box=box) for i, box in enumerate(boxes)]
        )
        shape = [(0.2, 0.1), (0.7, 0.3), (0.4, 0.8)]
        sample["outlines"] = fo.Polylines(polylines=[fo.Polyline(label="x", points=[shape])])
        if number < 4:
            sample["main"] = fo.Detection(label="m", bounding_box=BOXES[1])
            sample["edge"] = fo.Polyline(label="e", points=[shape[:2], shape[1:]])
        sample.save()
    return dataset


def test_each_object_gets_the_vector_of_its_own_crop(objects):
    result = uvl.embed(objects, PIXELS, "emb", patches_field="boxes", batch_size=2)
    assert (result.field, result.unit) == ("boxes.detections.emb", "objects")
    assert (result.n_embedded, result.failures) == (0 + 1 + 2 + 3 + 0 + 1, {})
    for sample in objects:
        image = read_image(sample.filepath)
        for number, label in enumerate(sample["boxes"].detections):
            assert label.label == str(number)
            assert np.array_equal(label["emb"], embedded_alone(crop(image, BOXES[number])))
    record = objects.get_run_info("embed_boxes_detections_emb").config
    assert (record.patches_field, record.field) == ("boxes", "boxes.detections.emb")


@pytest.mark.parametrize(
    ("field", "box"),
    [("outlines", (0.2, 0.1, 0.5, 0.7)), ("main", BOXES[1]), ("edge", (0.2, 0.1, 0.5, 0.7))],
)
def test_every_kind_of_object_can_be_embedded(objects, field, box):
    result = uvl.embed(objects, PIXELS, "emb", patches_field=field, margin=0.2)
    assert result.n_embedded == (6 if field == "outlines" else 4)
    for sample in objects.exists(field):
        label = sample[field]["polylines"][0] if field == "outlines" else sample[field]
        expected = embedded_alone(crop(read_image(sample.filepath), box, 0.2))
        assert np.array_equal(label["emb"], expected)


def test_objects_are_resumed_object_by_object(objects):
    first = objects.last()["boxes"].detections[0].id
    uvl.embed(objects.filter_labels("boxes", uvl_label("0")), PIXELS, "emb", patches_field="boxes")
    assert objects.count("boxes.detections.emb") == 4
    result = uvl.embed(objects, PIXELS, "emb", patches_field="boxes")
    assert (result.n_embedded, result.n_present) == (3, 4)
    with pytest.raises(uvl.DataError, match=r"'boxes.detections.emb' holds vectors of pixels"):
        uvl.embed(objects, uvl.Pixels(size=3), "emb", patches_field="boxes")
    result = uvl.embed(objects, uvl.Pixels(size=3), "emb", patches_field="boxes", overwrite=True)
    assert result.n_embedded == 7
    assert len(objects.last()["boxes"].detections[0]["emb"]) == 27
    assert objects.last()["boxes"].detections[0].id == first


def uvl_label(name):
    from fiftyone import ViewField as F

    return F("label") == name


def test_a_bad_box_costs_only_itself_and_a_bad_file_only_its_objects(objects, bad_files):
    samples = list(objects)
    samples[2]["boxes"].detections[0].bounding_box = [0.5, 0.5, 0.0, 0.1]
    samples[2].save()
    samples[3].filepath = str(bad_files["truncated"])
    samples[3].save()
    result = uvl.embed(objects, PIXELS, "emb", patches_field="boxes", batch_size=3)
    bad = [samples[2]["boxes"].detections[0].id, *(d.id for d in samples[3]["boxes"].detections)]
    assert set(result.failures) == set(bad)
    assert "holds nothing of the image" in result.failures[bad[0]]
    assert "truncated" in result.failures[bad[1]]
    assert result.n_embedded == 3
    tagged = objects.match_tags("embedding_failed").values("id")
    assert set(tagged) == {samples[2].id, samples[3].id}


def test_deleting_the_run_removes_the_vectors_of_objects(objects):
    uvl.embed(objects, PIXELS, "emb", patches_field="boxes")
    objects.delete_run("embed_boxes_detections_emb")
    assert not objects.has_field("boxes.detections.emb")
    assert objects.count("boxes.detections") == 7


def test_an_image_with_more_objects_than_fit_in_memory_is_read_in_parts(make_dataset, paths):
    import fiftyone as fo

    dataset = make_dataset(paths[:1])
    sample, n = dataset.first(), 1200
    boxes = [[i / (2 * n), 0.1, 0.5, 0.5] for i in range(n)]
    detections = [fo.Detection(label=str(i), bounding_box=box) for i, box in enumerate(boxes)]
    sample["boxes"] = fo.Detections(detections=detections)
    sample.save()
    assert uvl.embed(dataset, PIXELS, "emb", patches_field="boxes").n_embedded == n
    image = read_image(paths[0])
    for detection in dataset.first()["boxes"].detections[::97]:
        expected = embedded_alone(crop(image, detection.bounding_box))
        assert np.array_equal(detection["emb"], expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"patches_field": "nope"},
            "no detections or polylines in 'nope'. Fields of objects: boxes",
        ),
        ({"patches_field": "label"}, "no detections or polylines in 'label'"),
        ({"patches_field": "boxes", "margin": -1}, "margin must be 0 to 10, got -1"),
        ({"slices": "left"}, "slices can be chosen only in a grouped dataset"),
        ({"patches_field": "boxes", "field": "label"}, "'boxes.detections.label' is a field of"),
    ],
)
def test_wrong_targets_are_refused_before_work(objects, arguments, message):
    with pytest.raises(uvl.UVLError, match=message):
        uvl.embed(objects, PIXELS, **{"field": "emb", **arguments})


@pytest.fixture
def groups(make_dataset, paths):
    import fiftyone as fo

    dataset = make_dataset([])
    dataset.add_group_field("group", default="left")
    for number in range(3):
        group = fo.Group()
        dataset.add_samples(
            [
                fo.Sample(filepath=paths[2 * number], group=group.element("left")),
                fo.Sample(filepath=paths[2 * number + 1], group=group.element("right")),
                fo.Sample(filepath=f"{paths[0]}.pcd", group=group.element("lidar")),
            ],
            progress=False,
        )
    return dataset


def test_all_image_slices_of_a_group_are_embedded(groups):
    result = uvl.embed(groups, PIXELS, "emb")
    assert (result.n_embedded, result.failures) == (6, {})
    for name in ("left", "right"):
        for sample in groups.select_group_slices(name):
            assert np.array_equal(sample["emb"], embedded_alone(read_image(sample.filepath)))
    assert groups.select_group_slices("lidar").values("emb") == [None] * 3


def test_one_slice_can_be_chosen_and_the_rest_added(groups):
    assert uvl.embed(groups, PIXELS, "emb", slices="right").n_embedded == 3
    assert groups.select_group_slices("left").values("emb") == [None] * 3
    result = uvl.embed(groups, PIXELS, "emb", slices=["left", "right"])
    assert (result.n_embedded, result.n_present) == (3, 3)
    view = groups.select_group_slices("left").limit(1)
    assert uvl.embed(view, PIXELS, "again").n_embedded == 1
    for wrong in ("lidar", "top"):
        with pytest.raises(uvl.DataError, match=f"no image slice '{wrong}'. Image slices: left"):
            uvl.embed(groups, PIXELS, "emb", slices=wrong)
