"""Everything brought up to date: new samples, deleted ones, and what is in the way."""

import shutil
from pathlib import Path

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest

import uvl_plugin as uvl
from uvl_plugin.adapter.similarity_faiss import SyncResult
from uvl_plugin.updating import UpdateResult, check_update

PIXELS = uvl.Pixels(size=8)
N_OLD, N_NEW = 60, 20


@pytest.fixture
def files(digit_files):
    """Paths of the digits in an order that mixes them, so that the first 60 have all ten."""
    return [digit_files[number][0] for number in np.random.default_rng(0).permutation(200)]


@pytest.fixture
def searched(make_dataset, files):
    """60 digits with vectors and an index."""
    dataset = make_dataset(files[:N_OLD])
    uvl.embed(dataset, PIXELS, "emb")
    uvl.index(dataset, embeddings="emb", brain_key="sim")
    return dataset


@pytest.fixture
def used(searched):
    """The same, with clusters."""
    uvl.cluster(searched, uvl.KMeans(n_clusters=6), embeddings="emb", run_key="look")
    return searched


def add(dataset, paths):
    """Ids of new samples."""
    return dataset.add_samples([fo.Sample(filepath=str(path)) for path in paths], progress=False)


def indexed(dataset, key="sim"):
    return sorted(dataset.load_brain_results(key).sample_ids.tolist())


def files_of(dataset, key="sim"):
    """The folder of an index."""
    return dataset.load_brain_results(key).description["folder"]


def boxes(n):
    return fo.Detections(
        detections=[fo.Detection(bounding_box=[0.1 * each, 0.1, 0.5, 0.6]) for each in range(n)]
    )


def test_new_and_deleted_samples(used, files):
    before = dict(zip(*used.values(["id", "cluster.label"]), strict=True))
    gone = used.values("id")[:7]
    used.delete_samples(gone)
    new = add(used, files[N_OLD : N_OLD + N_NEW])
    done = uvl.update(used, progress=False)
    assert done.failures == {}
    assert done.embedded["emb"].n_embedded == N_NEW
    assert done.indexed == {"sim": SyncResult(N_NEW, 7)}
    assert set(done.assigned["look"].clusters) == set(new)
    assert indexed(used) == sorted(used.values("id"))
    after = dict(zip(*used.values(["id", "cluster.label"]), strict=True))
    assert all(after[key] == before[key] for key in after.keys() & before.keys())
    assert {key: after[key] for key in new} == done.assigned["look"].clusters
    nearest = used.sort_by_similarity(new[0], k=1, brain_key="sim").first()
    assert nearest.id == new[0]
    advice = done.assigned["look"].drift.advice
    assert str(done) == (
        "20 images embedded into 'emb'. The index 'sim' took 20 in and 7 out. "
        f"20 samples assigned to clusters of 'look'. {advice}"
    )


def test_a_second_time_nothing_is_done(used, files):
    add(used, files[N_OLD : N_OLD + N_NEW])
    assert uvl.update(used, progress=False).changed
    values = used.values(["emb", "cluster.label", "last_modified_at"])
    again = uvl.update(used, progress=False)
    assert str(again) == "Everything is up to date."
    assert (again.changed, again.embedded, again.assigned) == (False, {}, {})
    np.testing.assert_array_equal(values[0], used.values("emb"))
    assert used.values(["cluster.label", "last_modified_at"]) == values[1:]


def test_the_vectors_are_those_of_the_same_backbone_and_settings(searched, files):
    new = add(searched, files[N_OLD : N_OLD + 3])
    uvl.update(searched, progress=False)
    uvl.embed(searched, PIXELS, "fresh")
    np.testing.assert_array_equal(searched[new[0]].emb, searched[new[0]].fresh)
    config = searched.get_run_info("embed_emb").config
    assert (config.settings, config.n_embedded) == (PIXELS.to_dict(), 3)


def test_objects_new_and_deleted(make_dataset, files):
    dataset = make_dataset(files[:10])
    dataset.set_values("boxes", [boxes(2) for _ in range(10)])
    uvl.embed(dataset, PIXELS, "own", patches_field="boxes", margin=0.3, batch_size=4)
    uvl.index(dataset, embeddings="own", brain_key="sim", patches_field="boxes")
    dataset.delete_samples(dataset.first().id)
    with_more, with_fewer = dataset.skip(1).first(), dataset.skip(2).first()
    with_more.boxes.detections.append(boxes(3).detections[2])
    with_more.save()
    with_fewer.boxes.detections.pop()
    with_fewer.save()
    done = uvl.update(dataset, progress=False)
    assert (done.failures, done.embedded["boxes.detections.own"].n_embedded) == ({}, 1)
    assert done.indexed == {"sim": SyncResult(1, 3)}
    assert str(done).startswith("1 objects embedded into 'boxes.detections.own'.")
    labels = dataset.values("boxes.detections.id", unwind=True)
    assert sorted(dataset.load_brain_results("sim").label_ids) == sorted(labels)
    config = dataset.get_run_info("embed_boxes_detections_own").config
    assert (config.margin, config.engine["batch_size"]) == (0.3, 4)
    uvl.embed(dataset, PIXELS, "fresh", patches_field="boxes", margin=0.3)
    last = dataset[with_more.id].boxes.detections[-1]
    np.testing.assert_array_equal(last["own"], last["fresh"])
    assert not uvl.update(dataset, progress=False).changed


def test_only_the_slices_that_have_vectors_are_embedded(make_dataset, files):
    dataset = make_dataset([])
    dataset.add_group_field("group", default="left")
    groups = [fo.Group() for _ in range(4)]
    samples = [
        fo.Sample(filepath=files[4 * place + number], group=group.element(name))
        for place, name in enumerate(("left", "right"))
        for number, group in enumerate(groups)
    ]
    dataset.add_samples(samples, progress=False)
    right = dataset.select_group_slices(["right"])
    uvl.embed(right.limit(3), PIXELS, "emb")
    uvl.index(dataset, embeddings="emb", brain_key="sim")
    done = uvl.update(dataset, progress=False)
    assert (done.failures, done.embedded["emb"].n_embedded) == ({}, 1)
    both = dataset.select_group_slices(["left", "right"])
    assert sorted(both.exists("emb").values("id")) == sorted(right.values("id")) == indexed(dataset)


def test_a_file_that_cannot_be_read_costs_only_itself(used, files, bad_files):
    new = add(used, [*files[N_OLD : N_OLD + 2], bad_files["truncated"]])
    for n_embedded in (2, 0):
        done = uvl.update(used, progress=False)
        assert done.embedded["emb"].n_embedded == n_embedded
        assert list(done.embedded["emb"].failures) == new[2:]
        assert (done.n_failed, done.failures) == (1, {})
        assert "1 images could not be embedded into 'emb' and carry the tag" in str(done)
        assert "truncated" in str(done)
    assert not done.changed
    assert "up to date" not in str(done)
    assert len(indexed(used)) == len(used.exists("cluster")) == N_OLD + 2


def test_an_index_without_files_is_built_again(searched, files):
    shutil.rmtree(files_of(searched))
    new = add(searched, files[N_OLD : N_OLD + 2])
    done = uvl.update(searched, progress=False)
    assert (done.failures, done.indexed) == ({}, {"sim": SyncResult(N_OLD + 2, 0, rebuilt=True)})
    assert str(done).count("The index 'sim' was built again, with 62 vectors, since its files") == 1
    assert set(new) < set(indexed(searched))
    assert str(uvl.update(searched, progress=False)) == "Everything is up to date."


def test_a_damaged_index_is_built_again(searched):
    files = filter(Path.is_file, Path(files_of(searched)).rglob("*"))
    with max(files, key=lambda path: path.stat().st_size).open("r+b") as file:
        file.truncate(100)
    searched.clear_cache()  # as another process begins
    done = uvl.update(searched, progress=False)
    assert list(done.mended) == ["sim"]
    assert len(indexed(searched)) == N_OLD


def test_vectors_of_another_network_are_told(searched):
    uvl.embed(searched, uvl.Pixels(size=4), "emb", overwrite=True)
    done = uvl.update(searched, progress=False)
    assert done.indexed == {"sim": SyncResult(N_OLD, N_OLD, rebuilt=True)}
    assert "since another network has made them" in str(done)


def test_a_deleted_vector_field_does_not_hinder_the_rest(used, files):
    uvl.embed(used, uvl.Pixels(size=4), "other")
    uvl.cluster(
        used, uvl.KMeans(n_clusters=3), embeddings="other", field="second", run_key="second"
    )
    used.delete_sample_field("emb")
    used.delete_samples(used.first().id)
    done = uvl.update(used, progress=False)
    assert (done.failures, done.indexed) == ({}, {"sim": SyncResult(0, 1)})
    new = add(used, files[N_OLD : N_OLD + 2])
    done = uvl.update(used, progress=False)
    assert set(done.assigned["second"].clusters) == set(new)
    assert list(done.failures) == ["the clustering 'look'"]
    assert "Its field 'emb' was deleted, so 2 new samples get no cluster" in str(done)


def test_a_deleted_cluster_field_is_told_once_it_matters(used, files):
    used.delete_sample_field("cluster")
    assert str(uvl.update(used, progress=False)) == "Everything is up to date."
    add(used, files[N_OLD : N_OLD + 2])
    done = uvl.update(used, progress=False)
    assert done.indexed["sim"].n_added == 2
    assert "Its field 'cluster' was deleted" in done.failures["the clustering 'look'"]
    assert used.get_field("cluster") is None


def test_a_deleted_field_of_objects_does_not_hinder_the_rest(used, files):
    used.set_values("boxes", [boxes(1) for _ in range(N_OLD)])
    uvl.embed(used, PIXELS, "own", patches_field="boxes")
    uvl.index(used, embeddings="own", brain_key="objects", patches_field="boxes")
    used.delete_sample_field("boxes")
    add(used, files[N_OLD : N_OLD + 2])
    done = uvl.update(used, progress=False)
    assert done.indexed["sim"].n_added == len(done.assigned["look"].clusters) == 2
    assert list(done.failures) == ["the index 'objects'"]
    assert "Its field 'boxes' was deleted; delete the index too" in str(done)


def test_a_clone_leaves_the_index_of_the_original_alone(searched, files):
    clone = searched.clone()
    try:
        clone.delete_samples(clone.first().id)
        add(clone, files[N_OLD : N_OLD + 2])
        assert uvl.update(clone, progress=False).indexed == {"sim": SyncResult(2, 1)}
        assert indexed(clone) == sorted(clone.values("id"))
        assert indexed(searched) == sorted(searched.values("id"))
    finally:
        clone.delete()


def test_an_index_of_vectors_that_were_only_given_loses_what_was_deleted(make_dataset, files):
    dataset, random = make_dataset(files[:10]), np.random.default_rng(0)
    fob.compute_similarity(
        dataset, embeddings=random.normal(size=(10, 8)), brain_key="given", backend="faiss"
    )
    dataset.delete_samples(dataset.first().id)
    add(dataset, files[10:12])
    assert uvl.update(dataset, progress=False).indexed == {"given": SyncResult(0, 1)}
    shutil.rmtree(files_of(dataset, "given"))
    done = uvl.update(dataset, progress=False)
    assert "was not made from a field of vectors" in done.failures["the index 'given'"]


def test_frames_new_and_deleted():
    dataset, random = fo.Dataset(), np.random.default_rng(0)
    for number in range(3):
        sample = fo.Sample(filepath=f"{number}.mp4")
        for frame in range(1, 6):
            sample.frames[frame] = fo.Frame(emb=random.normal(size=8))
        dataset.add_sample(sample)
        if number == 1:
            uvl.index(dataset, embeddings="frames.emb", brain_key="sim")
    dataset.delete_samples(dataset.first().id)
    try:
        done = uvl.update(dataset, progress=False)
        assert (done.indexed, done.foreign) == ({"sim": SyncResult(5, 5)}, {})
    finally:
        dataset.delete()


def test_everything_deleted(searched):
    searched.delete_samples(searched.values("id"))
    done = uvl.update(searched, progress=False)
    assert (done.failures, done.indexed) == ({}, {"sim": SyncResult(0, N_OLD)})
    assert indexed(searched) == []


def test_weights_that_are_gone_stop_only_their_field(searched, files, monkeypatch):
    uvl.embed(searched, uvl.Pixels(size=4), "other")
    add(searched, files[N_OLD : N_OLD + 2])
    known = uvl.Pixels.check

    def check(self):
        if self.size == 4:
            raise uvl.WeightsError("There is no weights file '/a.pth'.")
        known(self)

    monkeypatch.setattr(uvl.Pixels, "check", check)
    done = uvl.update(searched, progress=False)
    assert done.failures == {"the vectors 'other'": "There is no weights file '/a.pth'."}
    assert done.embedded["emb"].n_embedded == done.indexed["sim"].n_added == 2
    assert "Not updated: the vectors 'other'. There is no weights file" in str(done)


def test_a_network_trained_again_is_told_and_its_vectors_left(searched, files, monkeypatch):
    new = add(searched, files[N_OLD : N_OLD + 2])
    monkeypatch.setattr(uvl.Pixels, "space", "pixels retrained")
    done = uvl.update(searched, progress=False)
    assert "has been replaced by pixels retrained" in done.failures["the vectors 'emb'"]
    assert (done.changed, searched.select(new).values("emb")) == (False, [None, None])


def test_what_breaks_unexpectedly_does_not_stop_the_rest(used, files, monkeypatch):
    new = add(used, files[N_OLD : N_OLD + 2])

    def fail(*args, **kwargs):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("uvl_plugin.adapter.similarity_faiss.FaissSimilarityIndex.sync", fail)
        done = uvl.update(used, progress=False)
    assert done.failures["the index 'sim'"].endswith("OSError: the disk is full.")
    assert set(done.assigned["look"].clusters) == set(new)
    assert uvl.update(used, progress=False).indexed == {"sim": SyncResult(2, 0)}


def test_vectors_of_unknown_origin_are_indexed_and_assigned_but_not_made(make_dataset, files):
    dataset, random = make_dataset(files[:60]), np.random.default_rng(0)
    vectors = random.normal(size=(60, 16)).astype(np.float32)
    old = dataset.limit(50)
    dataset.add_sample_field("mine", fo.VectorField)
    old.set_values("mine", list(vectors[:50]))
    uvl.index(dataset, embeddings="mine", brain_key="sim")
    uvl.cluster(old, uvl.KMeans(n_clusters=3), embeddings="mine", run_key="look")
    some = dataset.skip(50).limit(4)
    some.set_values("mine", list(vectors[50:54]))
    done = uvl.update(dataset, progress=False)
    assert (done.embedded, done.foreign) == ({}, {"mine": 6})
    assert done.indexed == {"sim": SyncResult(4, 0)}
    assert set(done.assigned["look"].clusters) == set(some.values("id"))
    left = "6 items have no vector in 'mine', which something else made."
    assert str(done).endswith(left)
    again = uvl.update(dataset, progress=False)
    assert str(again) == f"{left} Everything else is up to date."


def test_only_some_fields_can_be_chosen(used, files):
    uvl.embed(used, uvl.Pixels(size=4), "other")
    uvl.index(used, embeddings="other", brain_key="second")
    add(used, files[N_OLD : N_OLD + 2])
    done = uvl.update(used, embeddings="other", progress=False)
    assert (list(done.embedded), list(done.indexed), done.assigned) == (["other"], ["second"], {})
    done = uvl.update(used, embeddings=["emb"], progress=False)
    assert (list(done.embedded), list(done.indexed)) == (["emb"], ["sim"])
    assert list(done.assigned) == ["look"]


def test_progress_goes_up_and_ends_with_one(used, files):
    add(used, files[N_OLD : N_OLD + N_NEW])
    seen = []
    uvl.update(used, progress=lambda done, said: seen.append((done, said)))
    fractions = [done for done, _ in seen]
    assert fractions == sorted(fractions)
    assert seen[-1] == (1.0, "updated")
    started = [said for _, said in seen if said.startswith("updating")]
    assert [said.rpartition(" ")[2] for said in started] == ["'emb'", "'sim'", "'look'"]


@pytest.mark.parametrize("moment", ["embedded", "vectors", "writing clusters"])
def test_it_can_be_cancelled_and_goes_on_later(used, files, moment):
    add(used, files[N_OLD : N_OLD + N_NEW])

    def cancel(done, said):
        if said.startswith(moment):
            raise uvl.Cancelled("Stopped.")

    with pytest.raises(uvl.Cancelled):
        uvl.update(used, progress=cancel)
    done = uvl.update(used, progress=False)
    assert done.failures == {}
    assert len(indexed(used)) == len(used.exists("cluster")) == N_OLD + N_NEW


def test_the_plan_tells_what_would_be_done(used, files):
    add(used, files[N_OLD : N_OLD + 2])
    used.add_sample_field("idle", fo.VectorField)  # nobody uses it
    plan = check_update(used)
    (gap,) = plan.gaps
    assert (gap.path, gap.unit, gap.n_missing, gap.reason) == ("emb", "images", 2, "")
    assert gap.arguments["backbone"] == PIXELS
    assert (plan.indexes, plan.runs) == (("sim",), ("look",))


def test_wrong_calls_are_told_before_any_work(searched, digits):
    with pytest.raises(uvl.DataError, match="no vector field 'nope'. Vector fields: emb"):
        uvl.update(searched, embeddings="nope")
    with pytest.raises(uvl.DataError, match="Pass a dataset instead of a DatasetView"):
        uvl.update(searched.limit(3))
    with pytest.raises(uvl.DataError, match="has no vectors to bring up to date"):
        uvl.update(digits)


def test_an_empty_result_says_that_all_is_up_to_date():
    assert str(UpdateResult()) == "Everything is up to date."
