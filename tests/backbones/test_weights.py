import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from uvl_plugin.backbones.weights import fit_weights, is_weights_file, read_weights, seeded
from uvl_plugin.core.errors import WeightsError

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2)}


@pytest.mark.parametrize(
    ("text", "is_file"),
    [
        ("DEFAULT", False),
        ("ResNet50_Weights.IMAGENET1K_V2", False),
        ("untrained", False),
        ("mine.pth", True),
        ("MINE.PT", True),
        ("mine.safetensors", True),
        ("folder/mine.bin", True),
        ("~/mine", True),
    ],
)
def test_files_are_told_from_names(text, is_file):
    assert is_weights_file(text) is is_file


@pytest.mark.parametrize("suffix", ["pth", "pt", "PTH", "safetensors"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_tensors_are_read_by_name(tmp_path, suffix, prefix):
    state = {prefix + name: tensor for name, tensor in STATE.items()}
    path = tmp_path / f"mine.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, path)
    assert_same(read_weights(str(path)))


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_a_checkpoint_is_unwrapped(tmp_path, wrapper):
    torch.save({"epoch": 7, wrapper: STATE, "optimizer": {"lr": 0.1}}, tmp_path / "mine.pth")
    assert_same(read_weights(str(tmp_path / "mine.pth")))


def test_the_old_file_format_is_read(tmp_path):
    path = tmp_path / "mine.pth"
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    assert_same(read_weights(str(path)))


def test_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    torch.save(STATE, tmp_path / "mine.pth")
    assert_same(read_weights("~/mine.pth"))


def assert_same(state):
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in STATE.items())


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "save", [torch.save, lambda state, path: path.write_bytes(pickle.dumps(state, 2))]
)
def test_code_in_a_file_is_refused_and_not_run(tmp_path, save):
    sprung, path = tmp_path / "sprung", tmp_path / "trap.pth"
    save({**STATE, "trap": Trap(sprung)}, path)
    with pytest.raises(
        WeightsError, match=r"trap.pth' cannot be read as plain tensors .*state_dict"
    ):
        read_weights(str(path))
    assert not sprung.exists()


def whole_network(path):
    torch.save(torch.nn.Linear(2, 2), path)


def one_tensor(path):
    torch.save(torch.ones(2), path)


def numbered(path):
    torch.save({1: torch.ones(2)}, path)


def numbers(path):
    torch.save({"epoch": 7, "loss": 0.1}, path)


def empty(path):
    path.touch()


def words(path):
    path.write_text("<html>404: Not Found</html>")


def cut_off(path):
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:500])


@pytest.mark.parametrize("name", ["mine.pth", "mine.safetensors"])
@pytest.mark.parametrize("write", [empty, words, cut_off, whole_network])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, name, write):
    write(tmp_path / name)
    with pytest.raises(WeightsError, match=f"{name}' cannot be read as plain tensors"):
        read_weights(str(tmp_path / name))


@pytest.mark.parametrize("write", [one_tensor, numbered, numbers])
def test_a_file_of_anything_but_tensors_by_name_is_refused(tmp_path, write):
    write(tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match=r"holds .*not tensors by name.*save the network's"):
        read_weights(str(tmp_path / "mine.pth"))


def test_a_missing_file_and_a_file_of_another_kind_are_named(tmp_path):
    with pytest.raises(WeightsError, match="There is no weights file '.*mine.pth'"):
        read_weights(str(tmp_path / "mine.pth"))
    (tmp_path / "mine.onnx").touch()
    with pytest.raises(WeightsError, match="mine.onnx' is not a weights file: use one of .safet"):
        read_weights(str(tmp_path / "mine.onnx"))


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


def test_every_tensor_is_put_in_place():
    source, target = network(), network()
    source[1].running_mean += 3
    fit_weights(target, source.state_dict(), ignore=(), source="mine")
    for name, tensor in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor)


def test_half_precision_is_widened():
    halves = {name: tensor.half() for name, tensor in network().state_dict().items()}
    target = network()
    fit_weights(target, halves, ignore=(), source="mine")
    assert target[0].weight.dtype == torch.float32
    assert torch.equal(target[0].weight, halves["0.weight"].float())


def test_only_the_ignored_names_may_be_left_over():
    state = {**network().state_dict(), "fc.weight": torch.ones(1), "fc2.weight": torch.ones(1)}
    fit_weights(network(), state, ignore=("fc.", "fc2."), source="mine")
    with pytest.raises(WeightsError, match=r"0 tensors missing, 1 unknown.*\(first: fc2.weight\)"):
        fit_weights(network(), state, ignore=("fc.",), source="mine")


def test_a_name_to_be_ignored_is_taken_where_the_network_has_it():
    class Headed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Sequential(torch.nn.LayerNorm(2))

    state = {"head.0.weight": torch.full((2,), 5.0), "head.0.bias": torch.ones(2)}
    target = Headed()
    fit_weights(target, {**state, "head.fc.weight": torch.ones(1)}, ignore=("head.",), source="m")
    assert torch.equal(target.head[0].weight, state["head.0.weight"])


def test_weights_of_another_network_are_counted_and_nothing_is_loaded():
    target = network()
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    state = {
        "0.weight": torch.ones(4, 3, 5, 5),
        "0.bias": torch.full((4,), 9.0),
        "2.a": torch.ones(1),
    }
    with pytest.raises(WeightsError) as caught:
        fit_weights(target, state, ignore=(), source="mine.pth")
    assert str(caught.value) == (
        "The weights 'mine.pth' are of another network: 4 tensors missing, 1 unknown, 1 of another "
        "shape (first: 1.bias); choose the model they were made with."
    )
    assert all(torch.equal(target.state_dict()[name], tensor) for name, tensor in before.items())


def test_files_older_than_batch_counters_fit():
    source, target = network(), network()
    state = source.state_dict()
    del state["1.num_batches_tracked"]
    fit_weights(target, state, ignore=(), source="mine")
    assert torch.equal(target[0].weight, source[0].weight)


def test_random_weights_hang_on_the_seed_and_leave_other_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    made = []
    for seed in (0, 0, 1):
        with seeded(seed):
            made.append(torch.rand(4))
    assert torch.equal(torch.rand(4), expected)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
