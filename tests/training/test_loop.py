"""Whole trainings of a few seconds: what is written, how it goes on, how it ends."""

import dataclasses
import json
import math
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from uvl_plugin.backbones.checkpoint import Checkpoint, checkpoint_names, read_card
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.core.errors import Cancelled, DataError, SettingsError
from uvl_plugin.core.progress import silent
from uvl_plugin.media.sources import ImageFile
from uvl_plugin.training import loop
from uvl_plugin.training.augmentation.glyph import Glyph
from uvl_plugin.training.checkpoint import CheckpointWriter
from uvl_plugin.training.loop import train_network
from uvl_plugin.training.methods.distillation import Distillation
from uvl_plugin.training.methods.simsiam import SimSiam


def weights(name: str) -> dict[str, torch.Tensor]:
    return Checkpoint(name).network().module.state_dict()


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key, tensor in one.items():
        assert torch.equal(tensor, other[key]), key


class StopAt:
    """Progress that cancels at the first message that begins so."""

    def __init__(self, words: str):
        self.words = words

    def __call__(self, fraction, message=""):
        if message.startswith(self.words):
            raise Cancelled("enough")


def test_a_training_leaves_a_backbone_and_its_card(make_task):
    task = make_task()
    outcome = train_network(task, silent)
    card = read_card("digits")
    assert outcome.state == card["state"] == "finished"
    assert [entry.epoch for entry in outcome.curve] == [1, 2, 3]
    assert all(math.isfinite(entry.loss) for entry in outcome.curve)
    assert outcome.how["images"] == 128
    assert card["licence"] == "none needed (random weights)"
    assert card["method"]["settings"]["temperature"] == 0.2
    assert card["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert checkpoint_names() == ["digits"]
    encoder = Checkpoint("digits").load("cpu")
    assert encoder.dim == 16
    files = {file.suffix for file in CheckpointWriter("digits").folder.iterdir()}
    assert files == {".json", ".safetensors"}  # what only an unfinished training needs is gone


def test_progress_never_goes_back_and_ends_at_one(make_task):
    seen = []
    train_network(make_task(), lambda fraction, message="": seen.append((fraction, message)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)
    assert any(message.startswith("epoch 2 of 3, loss") for _, message in seen)


def test_equal_seeds_give_equal_weights(make_task):
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        train_network(make_task(name, epochs=2, seed=seed), silent)
    assert_same(weights("one"), weights("same"))
    assert not torch.equal(weights("one")["0.0.weight"], weights("other")["0.0.weight"])


def test_the_callers_random_numbers_stay_as_they_are(make_task):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_network(make_task(epochs=1), silent)
    assert torch.equal(torch.rand(3), expected)


def test_a_training_that_has_ended_is_not_repeated(make_task):
    task = make_task()
    first = train_network(task, silent)
    again = train_network(task, lambda fraction, message="": pytest.fail("worked"))
    assert [e.loss for e in again.curve] == pytest.approx([e.loss for e in first.curve])
    assert again.state == "finished"


def test_cancelled_it_keeps_the_best_epoch_and_goes_on_from_the_last(make_task):
    undisturbed = train_network(make_task("whole", epochs=4), silent)
    task = make_task("broken", epochs=4)
    with pytest.raises(Cancelled):
        train_network(task, StopAt("epoch 3"))
    card = read_card("broken")
    assert card["state"] == "stopped"
    assert len(card["curve"]) == 2
    best = max(card["curve"], key=lambda entry: (entry["consistency"], entry["epoch"]))
    assert card["best_epoch"] == best["epoch"]
    Checkpoint("broken").load("cpu")  # can be used as it is
    outcome = train_network(task, silent)
    assert (outcome.state, outcome.resumed) == ("finished", 2)
    assert [e.loss for e in outcome.curve] == [e.loss for e in undisturbed.curve]
    assert_same(weights("broken"), weights("whole"))


def test_another_task_of_the_same_name_does_not_go_on_from_its_state(make_task, changed):
    task = make_task(epochs=4)
    with pytest.raises(Cancelled):
        train_network(task, StopAt("epoch 3"))
    outcome = train_network(changed(task, learning_rate=1e-3), silent)
    assert outcome.resumed == 0


KILLED = """
import pickle, sys
from uvl_plugin.core.progress import silent
from uvl_plugin.training.loop import train_network
train_network(pickle.load(sys.stdin.buffer), silent)
"""


def test_killed_at_any_moment_it_ends_with_the_same_weights(make_task):
    """Five processes of the same training, each killed somewhere, and one that completes it."""
    expected = train_network(make_task("whole", epochs=8), silent)
    task, moments = make_task("killed", epochs=8), random.Random(0)
    for _ in range(5):
        known = epochs_of("killed")
        process = subprocess.Popen([sys.executable, "-c", KILLED], stdin=subprocess.PIPE)
        pickle.dump(task, process.stdin)
        process.stdin.close()
        wait_for_epoch(process, known + 1)
        time.sleep(moments.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert epochs_of("killed") >= known
        Checkpoint("killed").load("cpu")  # whole at any moment
    outcome = train_network(task, silent)
    assert outcome.resumed > 0
    assert [e.loss for e in outcome.curve] == [e.loss for e in expected.curve]
    assert_same(weights("killed"), weights("whole"))


def epochs_of(name: str) -> int:
    card = CheckpointWriter(name).card()
    return len(card["curve"]) if card else 0


def wait_for_epoch(process, epoch: int) -> None:
    deadline = time.monotonic() + 120
    while epochs_of("killed") < epoch and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_forced_collapse_is_said_before_the_run_ends(make_task):
    method, messages = SimSiam(), []
    task = make_task(method=method, optimizer="sgd", learning_rate=500.0, epochs=20, warmup=0.0)
    outcome = train_network(task, lambda fraction, message="": messages.append(message))
    assert outcome.state in ("collapsed", "diverged")
    assert len(outcome.curve) < 20
    assert any("collapsed" in text or "loss is" in text for text in outcome.warnings)
    assert read_card("digits")["warnings"] == outcome.warnings


def test_a_training_that_diverges_ends_and_keeps_nothing_bad(make_task):
    task = make_task(optimizer="sgd", learning_rate=1e30, epochs=10, warmup=0.0)
    outcome = train_network(task, silent)
    assert (outcome.state, len(outcome.curve)) == ("diverged", 1)
    assert any("the loss is nan" in text for text in outcome.warnings)
    assert "weights" not in read_card("digits")
    assert train_network(task, silent).state == "diverged"  # not tried again


def test_a_collapse_can_be_watched_to_the_end(make_task):
    task = make_task(
        method=SimSiam(), optimizer="sgd", learning_rate=500.0, epochs=8, warmup=0.0,
        stop_when_collapsed=False,
    )  # fmt: skip
    outcome = train_network(task, silent)
    assert outcome.state in ("finished", "diverged")


def test_few_images_and_small_batches_are_said_at_the_start(make_task):
    outcome = train_network(make_task(epochs=1, batch_size=16), silent)
    assert any("128 images" in text for text in outcome.warnings)
    assert any("16" in text and "SimCLR" in text for text in outcome.warnings)


def test_bad_files_are_left_out_and_named(make_task, tmp_path):
    empty = tmp_path / "empty.png"
    empty.touch()
    task = make_task(epochs=1)
    sources = [*task.sources, ImageFile("bad", str(empty))]
    outcome = train_network(dataclasses.replace(task, sources=sources), silent)
    assert outcome.failures == {"bad": f"{empty}: empty file"}
    assert outcome.how["images"] == 128
    assert read_card("digits")["n_failed"] == 1


def test_reading_the_files_in_each_epoch_learns_the_same(make_task, monkeypatch):
    kept, read = (  # noise is drawn for each colour, and kept grey images have one only
        dataclasses.replace(make_task(name, epochs=2), augmentation=Glyph(noise=0.0))
        for name in ("kept", "read")
    )
    kept = train_network(kept, silent)
    monkeypatch.setattr(loop, "_MIB", 1)
    read = train_network(read, silent)
    assert (kept.how["kept_in_memory"], read.how["kept_in_memory"]) == (True, False)
    assert [e.loss for e in read.curve] == pytest.approx([e.loss for e in kept.curve], rel=1e-4)


def test_too_few_images_are_refused(make_task):
    task = make_task()
    with pytest.raises(DataError, match="1 images to train with"):
        train_network(dataclasses.replace(task, sources=task.sources[:1]), silent)


def test_without_a_validation_part_the_last_epoch_is_the_best(make_task):
    task = dataclasses.replace(make_task(), validation=())
    outcome = train_network(task, silent)
    assert outcome.best == 3
    assert math.isnan(outcome.curve[-1].consistency)
    assert json.loads(json.dumps(read_card("digits")))["curve"][-1]["consistency"] is None


def test_a_student_learns_from_a_teacher(make_task):
    method = Distillation(taught_by="pixels")
    outcome = train_network(make_task(method=method, epochs=20, learning_rate=0.01), silent)
    assert outcome.curve[-1].loss < -0.3 < outcome.curve[0].loss


def test_training_goes_on_from_a_checkpoint_with_a_new_head(make_task):
    train_network(make_task("first", epochs=1), silent)
    before = weights("first")
    second = make_task(
        "second", backbone=Checkpoint("first"), epochs=2, trained_stages=0, head_dim=8
    )
    train_network(second, silent)
    after = weights("second")
    assert Checkpoint("second").load("cpu").dim == 8
    for name, tensor in before.items():  # frozen, batch norms too
        assert torch.equal(after[f"network.{name}"], tensor), name
    with pytest.raises(SettingsError, match="has a head already"):
        train_network(make_task("third", backbone=Checkpoint("second"), head_dim=4), silent)
    train_network(make_task("third", backbone=Checkpoint("second"), epochs=1), silent)
    assert Checkpoint("third").load("cpu").dim == 8


def test_views_of_one_image_come_together(make_task):
    outcome = train_network(make_task(epochs=50), silent)
    losses = [entry.loss for entry in outcome.curve]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.2


def test_batch_norms_of_learnt_weights_keep_their_statistics(make_task):
    train_network(make_task("first", epochs=1), silent)
    for statistics, same in (("auto", True), ("still", True), ("moving", False)):
        task = make_task(
            statistics, backbone=Checkpoint("first"), epochs=1, norm_statistics=statistics
        )
        train_network(task, silent)
        before, after = (weights(name)["0.1.running_mean"] for name in ("first", statistics))
        assert torch.equal(before, after) == same
        assert not torch.equal(weights("first")["0.0.weight"], weights(statistics)["0.0.weight"])


def test_adversarial_views_and_accumulated_batches_run(make_task):
    outcome = train_network(make_task(epochs=1, adversarial=0.03, accumulate=2), silent)
    assert outcome.state == "finished"


@pytest.mark.parametrize("optimizer", ["adam", "nadam", "sgd", "lars"])
def test_every_optimiser_trains(make_task, optimizer):
    outcome = train_network(make_task(epochs=2, optimizer=optimizer, clip_norm=1.0), silent)
    assert outcome.state == "finished"


def test_a_network_without_weights_says_so(make_task, checkpoints):
    writer = CheckpointWriter("begun")
    writer.write_card({"name": "begun", "state": "running"})
    with pytest.raises(DataError, match="has no weights"):
        Checkpoint("begun").load("cpu")
    assert "begun" not in checkpoint_names()
    assert os.listdir(checkpoints) == ["begun"]


def test_compact_networks_differ_by_seed():
    one, other = (CompactCNN(seed=seed).network().module.state_dict() for seed in (0, 1))
    assert not torch.equal(one["0.0.weight"], other["0.0.weight"])
