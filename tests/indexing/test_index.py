"""Whatever is added, replaced and removed: the index holds what a dictionary would."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.indexing.made import clustered, content, distances_by_hand, made, names
from uvl_plugin.core.errors import BrokenIndexError, Cancelled, DataError
from uvl_plugin.indexing import index as module
from uvl_plugin.indexing.index import VectorIndex
from uvl_plugin.indexing.kinds.flat import Flat
from uvl_plugin.indexing.writing import first_merged

DIM = 8
POOL = clustered(400, DIM)
IDS = st.lists(st.integers(0, 30).map(lambda number: f"id{number}"), max_size=12)


class Model(RuleBasedStateMachine):
    """An index, and beside it a dictionary from id to vector and sample."""

    owned = False

    def __init__(self):
        super().__init__()
        import tempfile

        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(module, "_TAILS", 2)
        self.patch.setattr(module, "_FEW", 25)
        self.place = tempfile.TemporaryDirectory()
        self.truth, self.drawn, self.generation = {}, 0, 0
        self.older = None

    def teardown(self):
        self.patch.undo()
        self.place.cleanup()

    def drawn_for(self, ids):
        """New vectors, so that a replaced one can be told from the one before."""
        self.drawn += len(ids)
        vectors = POOL[np.arange(self.drawn - len(ids), self.drawn) % len(POOL)]
        vectors = vectors + np.float32(0.001) * (self.drawn // len(POOL))
        owners = [f"{name}-of-{self.drawn}" for name in ids] if self.owned else None
        return np.array(ids, dtype=str), vectors, None if owners is None else np.array(owners)

    def learned(self, ids, vectors, owners):
        for number, name in enumerate(ids.tolist()):
            self.truth[name] = vectors[number], name if owners is None else owners[number]

    @initialize(ids=st.lists(IDS, max_size=3))
    def create(self, ids):
        unique = list(dict.fromkeys(name for page in ids for name in page))
        cuts = [unique[:5], unique[5:]]
        pages = [self.drawn_for(page) for page in cuts]
        self.index = VectorIndex.create(self.place.name, pages, metric="euclidean", kind=Flat())
        for page in pages:
            self.learned(*page)

    @rule(ids=IDS)
    def add(self, ids):
        page = self.drawn_for(ids)
        self.index.add(*page)
        self.learned(*page)

    @rule(ids=IDS)
    def remove(self, ids):
        known = set(ids) & set(self.truth)
        assert self.index.remove(np.array(ids, dtype=str)) == len(known)
        for name in known:
            del self.truth[name]

    @rule()
    def remove_all(self):
        assert self.index.remove(np.array(list(self.truth), dtype=str)) == len(self.truth)
        self.truth = {}

    @rule()
    def rebuild(self):
        self.index.rebuild()
        assert len(self.index.manifest["segments"]) == bool(self.truth)

    @rule()
    def open_again(self):
        self.index = VectorIndex(self.place.name)
        self.index.verify()

    @rule()
    def keep(self):
        snapshot = self.index.snapshot()
        self.older = snapshot, self.answers(snapshot)

    @staticmethod
    def answers(snapshot):
        rows = snapshot.search(POOL[:3], 5)[0].tolist() if len(snapshot) else []
        owners = snapshot.owners().tolist()
        return snapshot.ids().tolist(), snapshot.vectors().tobytes(), owners, rows

    @invariant()
    def the_index_is_the_dictionary(self):
        if not hasattr(self, "index"):
            return
        snapshot = self.index.snapshot()
        ids = snapshot.ids().tolist()
        assert len(snapshot) == len(ids) == len(self.truth)
        assert set(ids) == set(self.truth)
        assert snapshot.owners().tolist() == [self.truth[name][1] for name in ids]
        if ids:
            vectors = np.array([self.truth[name][0] for name in ids])
            assert np.array_equal(snapshot.vectors(), vectors)
            rows, apart = snapshot.search(vectors, 1)
            assert (apart == 0).all()
            assert np.array_equal(snapshot.vectors(rows[:, 0]), vectors)
            assert np.array_equal(snapshot.rows_of(np.array(ids)), snapshot.rows)
        assert (snapshot.rows_of(np.array(["id31", "i", "id300"])) == -1).all()
        assert snapshot.generation >= self.generation
        self.generation = snapshot.generation
        assert len(snapshot.segments) <= 1 + 2

    @invariant()
    def older_snapshots_answer_as_before(self):
        if self.older:
            snapshot, answers = self.older
            assert self.answers(snapshot) == answers


class OwnedModel(Model):
    owned = True


TestSamples = Model.TestCase
TestSamples.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
TestPatches = OwnedModel.TestCase
TestPatches.settings = settings(max_examples=8, stateful_step_count=25, deadline=None)


@pytest.fixture
def index(tmp_path):
    return made(tmp_path / "index", POOL, kind=Flat())


def folders(index):
    return {path.name for path in index.folder.iterdir()} - {"index.json", ".lock"}


class TestWriting:
    def test_the_last_of_an_id_counts(self, index):
        index.add(np.array(["a", "b", "a"]), POOL[:3])
        snapshot = index.snapshot()
        assert np.array_equal(snapshot.vectors(snapshot.rows_of(["a", "b"])), POOL[[2, 1]])

    def test_only_what_counts_stays_on_disk(self, index):
        for number in range(30):
            index.add(names(5, 1000 + number), POOL[:5] + np.float32(number))
        named = {entry["name"] for entry in index.manifest["segments"]}
        named |= {entry["gone"]["name"] for entry in index.manifest["segments"] if entry["gone"]}
        assert folders(index) == named
        assert len(index.snapshot()) == len(POOL) + 34

    def test_much_that_was_added_is_built_in(self, index, monkeypatch):
        monkeypatch.setattr(module, "_FEW", 50)
        index.add(names(101, 1000), POOL[:101])  # over a quarter of 400
        assert len(index.snapshot().segments) == 1
        index.remove(names(90, 1000))
        assert len(index.snapshot().gone[0]) == 90
        index.remove(names(60))
        assert len(index.snapshot().gone[0]) == 0
        assert len(index.snapshot()) == 351

    def test_the_first_vectors_of_an_empty_index_get_their_structure(self, tmp_path, monkeypatch):
        from uvl_plugin.indexing import segment

        monkeypatch.setattr(segment, "_SCANNED", 300)
        index = VectorIndex.create(tmp_path, [], kind="sq8")
        assert len(index.snapshot()) == 0
        index.add(names(400), POOL)
        assert index.snapshot().segments[0].structure is not None

    def test_what_is_about_it_stays(self, tmp_path):
        index = made(tmp_path, POOL, about={"field": "emb", "counts": {2: 1, 10: (1, 2)}})
        index.add(names(3, 1000), POOL[:3])
        index.rebuild()
        kept = {"field": "emb", "counts": {"2": 1, "10": [1, 2]}}
        assert VectorIndex(tmp_path).manifest["about"] == kept
        index.rebuild([(names(5), POOL[:5], None)], about={"field": "other"})
        assert index.manifest["about"] == {"field": "other"}
        assert index.snapshot().ids().tolist() == names(5).tolist()

    def test_generations_go_on_when_it_is_created_again(self, index):
        index.add(names(1, 1000), POOL[:1])
        before = index.snapshot().generation
        again = made(index.folder, POOL[:7])
        assert again.snapshot().generation == index.snapshot().generation == before + 1
        assert len(index.snapshot()) == 7

    def test_a_later_index_of_the_same_folder_is_no_longer_the_old_one(self, index):
        assert len(index.snapshot()) == len(POOL)
        VectorIndex(index.folder).delete()
        assert not index.folder.exists()
        with pytest.raises(BrokenIndexError, match="There is no index in"):
            index.snapshot()
        made(index.folder, POOL[::-1][: len(POOL)])
        assert np.array_equal(index.snapshot().vectors(), POOL[::-1])

    @pytest.mark.parametrize("write", ["add", "rebuild", "create"])
    def test_a_write_that_fails_changes_nothing(self, index, write):
        before, files = content(index), folders(index)

        def pages():
            yield names(5, 2000), POOL[:5], None
            raise Cancelled("stopped")

        writes = {
            "add": lambda: index.add(names(2, 2000), np.full((2, DIM), np.inf)),
            "rebuild": lambda: index.rebuild(pages()),
            "create": lambda: VectorIndex.create(index.folder, pages()),
        }
        with pytest.raises((Cancelled, DataError)):
            writes[write]()
        assert content(index) == content(VectorIndex(index.folder)) == before
        assert folders(index) == files

    def test_progress_grows_to_one(self, tmp_path):
        told = []
        made(tmp_path, POOL, progress=lambda done, message="": told.append(done))
        assert told == sorted(told)
        assert told[-1] == 1.0


class TestIds:
    def test_of_different_widths(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "_TAILS", 1)
        pages = [(np.array(["1", "22"]), POOL[:2], None), (np.array(["4444"]), POOL[2:3], None)]
        index = VectorIndex.create(tmp_path, pages)
        for number, name in enumerate(["55555", "6", "777777777", "88"]):
            index.add(np.array([name]), POOL[[3 + number]])
        snapshot = index.snapshot()
        every = ["1", "22", "4444", "55555", "6", "777777777", "88"]
        assert snapshot.ids().tolist() == every
        assert np.array_equal(snapshot.vectors(snapshot.rows_of(np.array(every))), POOL[:7])
        assert snapshot.rows_of(np.array(["2", "222", "", "5555"])).tolist() == [-1] * 4
        assert index.remove(np.array(["55555", "nobody"])) == 1

    def test_many_at_once_as_few(self, index):
        asked = np.concatenate([names(400), np.array(["none", "zz"])])
        few = [index.snapshot().rows_of(asked[start : start + 2]) for start in range(0, 402, 2)]
        assert np.array_equal(index.snapshot().rows_of(asked), np.concatenate(few))

    def test_other_letters(self, index):
        with pytest.raises(DataError, match="plain ASCII, got 'ä'"):
            index.add(np.array(["ä"]), POOL[:1])


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([(names(2), POOL[:3], None)], r"shape \(3, 8\) are not 2 of 8"),
        ([(names(2), POOL[:2], None), (names(2, 2), POOL[:2, :5], None)], "are not 2 of 8"),
        ([(names(2), POOL[:2], None), (names(2), POOL[:2], None)], "comes more than once"),
        ([(names(2), np.zeros((2, 0)), None)], "are not 2 of some"),
        ([(names(1), np.full((1, 3), np.nan), None)], "of '0+' holds numbers that are not finite"),
        ([(names(1), np.full((1, 3), 1e30), None)], "too large for float32"),
        ([(names(1), POOL[:1], names(1)), (names(1, 1), POOL[:1], None)], "the samples of 1"),
    ],
)
def test_pages_that_are_wrong(pages, said, tmp_path):
    with pytest.raises(DataError, match=said):
        VectorIndex.create(tmp_path, pages)
    assert not VectorIndex(tmp_path).exists


def test_numbers_too_large_for_half_precision(tmp_path):
    with pytest.raises(DataError, match="too large for float16"):
        made(tmp_path, POOL * 1e6, precision="float16")


@pytest.mark.parametrize(
    ("ids", "vectors", "owners", "said"),
    [
        (names(2), POOL[:3], None, "2 ids, and vectors of shape"),
        (names(2), POOL[:2, :5], None, "have 5 numbers, and those in the index have 8"),
        (names(2), POOL[:2], names(3), "the samples of 3"),
        (names(2), POOL[:2], names(2), "The index is of samples"),
    ],
)
def test_vectors_that_cannot_be_added(index, ids, vectors, owners, said):
    with pytest.raises(DataError, match=said):
        index.add(ids, vectors, owners)


def test_patches_need_their_samples(tmp_path):
    index = VectorIndex.create(tmp_path, [(names(3), POOL[:3], names(3, 100))])
    with pytest.raises(DataError, match="give the sample of each"):
        index.add(names(1, 5), POOL[:1])


class TestNoIndex:
    @pytest.mark.parametrize(
        "ask",
        [
            lambda index: index.snapshot(),
            lambda index: index.manifest,
            lambda index: index.add(names(1), POOL[:1]),
            lambda index: index.remove(names(1)),
            lambda index: index.rebuild(),
            lambda index: index.verify(),
            lambda index: index.copy_to(index.folder.with_name("copy")),
        ],
    )
    def test_is_said_and_makes_nothing(self, ask, tmp_path):
        with pytest.raises(BrokenIndexError, match=f"There is no index in '{tmp_path}/none'"):
            ask(VectorIndex(tmp_path / "none"))
        assert not list(tmp_path.iterdir())

    def test_delete_is_no_error(self, tmp_path):
        VectorIndex(tmp_path / "none").delete()


class TestCopy:
    def test_is_an_index_of_its_own(self, index, tmp_path):
        index.remove(names(5))
        index.add(names(5, 1000), POOL[:5])
        copy, before = index.copy_to(tmp_path / "copy"), content(index)
        assert content(copy) == before
        index.remove(names(50))
        index.rebuild()
        copy.verify()
        assert content(copy) == before
        copy.remove(names(300))
        assert len(index.snapshot()) == 355
        index.delete()
        assert len(content(copy)) == 105

    def test_without_links(self, index, tmp_path, monkeypatch):
        import os

        def refuse(*args):
            raise OSError("no links here")

        monkeypatch.setattr(os, "link", refuse)
        assert content(index.copy_to(tmp_path / "copy")) == content(index)

    def test_refuses_to_replace(self, index):
        with pytest.raises(DataError, match="There is an index in"):
            index.copy_to(index.folder)


def test_a_structure_from_20_000_vectors_on(tmp_path):
    vectors = clustered(25_000, DIM)
    index = made(tmp_path, vectors, kind="ivf", metric="euclidean")
    snapshot = VectorIndex(tmp_path).snapshot()
    assert snapshot.segments[0].structure is not None
    queries = clustered(20, DIM, seed=5)
    rows, _ = snapshot.search(queries, 100)
    for query, found in zip(queries, rows, strict=True):
        apart = distances_by_hand("euclidean", vectors, query)
        assert np.isin(np.argsort(apart)[:100], found).mean() >= 0.95
    index.remove(names(10_001))
    assert len(snapshot) == 25_000
    assert VectorIndex(tmp_path).snapshot().segments[0].structure is None  # 14,999 are left


def test_files_of_others_are_never_touched(tmp_path):
    for name in ("photo.jpg", "segment-notes.txt", "gone-fishing"):
        (tmp_path / name).write_text("mine")
    index = made(tmp_path, POOL)
    index.remove(names(3))
    index.rebuild()
    index.delete()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "gone-fishing", "photo.jpg", "segment-notes.txt",
    ]  # fmt: skip


@pytest.mark.parametrize("added", [[1] * 400, [5, 1, 80, 2, 1, 1, 1] * 40])
def test_vectors_are_merged_a_few_times_only(added):
    sizes, written = [10**6], 0
    for count in added:
        sizes.append(count)
        if len(sizes) > 9:
            first = first_merged(sizes)
            assert first >= 1
            sizes[first:] = [sum(sizes[first:])]
            written += sizes[-1]
    assert len(sizes) <= 9
    assert written < 12 * sum(added)
