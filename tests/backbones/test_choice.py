import pytest
from PIL import Image

from uvl_plugin.backbones.choice import are_small, suitable_backbone, suitable_network
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.backbones.presets import DEFAULT, presets
from uvl_plugin.backbones.torchvision import TorchVision


@pytest.fixture
def picture(tmp_path):
    def write(width, height) -> str:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.png"
        Image.new("L", (width, height)).save(path)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([(28, 28)], "pixels"),
        ([(63, 400)], "pixels"),
        ([(64, 64)], "timm"),
        ([(28, 28), (28, 28), (640, 480)], "pixels"),
        ([(28, 28), (640, 480), (640, 480)], "timm"),
        ([], "timm"),
    ],
)
def test_small_pictures_get_pixels_and_photographs_a_network(picture, sizes, chosen):
    assert suitable_backbone(picture(*size) for size in sizes).name == chosen


def test_damaged_files_have_no_say(picture, tmp_path):
    assert suitable_backbone([str(tmp_path / "missing.png"), picture(28, 28)]).name == "pixels"
    assert suitable_backbone([str(tmp_path / "missing.png")]) == presets[DEFAULT].backbone


@pytest.mark.parametrize(
    ("sides", "small"),
    [
        ([28], True),
        ([63, 63, 900], True),
        ([64], False),
        ([28, 200], False),
        ([28, 99], True),  # the median lies between the two in the middle
        ([900, 28, 28], True),
        ([], False),
    ],
)
def test_a_network_is_trained_that_suits_the_size_of_most_pictures(sides, small):
    assert are_small(sides) is small
    resnet = TorchVision(model="resnet18")
    assert suitable_network(sides) == (CompactCNN() if small else resnet)
    assert suitable_network(sides).pretrained is not small
