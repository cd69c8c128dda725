"""Our backbones as a FiftyOne user has them: the same networks and weights in its own wrapper."""

from typing import Any

import fiftyone.utils.torch as fout

from uvl_plugin.backbones.timm import Timm
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.backbones.weights import is_weights_file, read_weights, seeded


def torchvision_model(backbone: TorchVision, layer: str) -> fout.TorchImageModel:
    """As FiftyOne's zoo has MobileNetV2: the whole classifier, of which the input of a layer is
    kept; with torchvision's own transforms.

    Args:
        backbone: network, weights and colours.
        layer: FiftyOne's name of what is kept, such as ``"<classifier.1"``.
    """
    from torchvision import models

    with seeded(backbone.seed):
        network = models.get_model(backbone.model, weights=None)
    if is_weights_file(backbone.weights):
        network.load_state_dict(read_weights(backbone.weights))
    colours = {"mean": backbone.mean, "std": backbone.std}
    given = {name: value for name, value in colours.items() if value}
    transforms = models.get_model_weights(backbone.model).DEFAULT.transforms(**given)
    return _model(network, transforms, embeddings_layer=layer)


def timm_model(backbone: Timm) -> fout.TorchImageModel:
    """As FiftyOne's zoo has DINOv2: the network without a classifier, all of its output; with
    timm's own transforms."""
    import timm

    with seeded(backbone.seed):
        network = timm.create_model(backbone.model, num_classes=0)
    transforms = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    return _model(network, transforms, as_feature_extractor=True)


def _model(network: Any, transforms: Any, **how: Any) -> fout.TorchImageModel:
    asked = {"model": network, "transforms": transforms, "ragged_batches": False, "device": "cpu"}
    return fout.TorchImageModel(fout.TorchImageModelConfig({**asked, **how}))
