"""The walk-through of docs/workbench.md, done by clicks: its steps depend on each other."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.browser.driver import installed_chromium, served
from tests.private_database import REPOSITORY

pytestmark = [pytest.mark.browser, pytest.mark.real_data]

PAGE = REPOSITORY / "docs" / "workbench.md"
EACH = 60  # photos of each kind
WEIGHTS = "weights/torchvision/mobilenet_v2_imagenet.safetensors"


@pytest.fixture(scope="module")
def flowers(real_data):
    """300 photos of five kinds of flower; their kinds are in 'kind', for scoring only."""
    import fiftyone as fo

    dataset = fo.Dataset("flowers")
    for kind in sorted(path for path in (real_data / "images/flowers5").iterdir() if path.is_dir()):
        files = sorted(kind.glob("*.jpg"))[:EACH]
        dataset.add_samples(
            [fo.Sample(str(file), kind=fo.Classification(label=kind.name)) for file in files]
        )
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def app():
    with installed_chromium() as app:
        yield app


class Story:
    """The steps, and what they have in common."""

    def __init__(self, app, dataset, folder):
        self.app, self.dataset, self.folder = app, dataset, folder
        self.taken = []

    def picture(self, name):
        self.app.picture(f"workbench-{name}")
        self.taken.append(f"workbench-{name}.png")

    def sizes(self):
        """Items of each cluster, the largest first, as the database has them."""
        self.dataset.reload()
        return dict(Counter(self.dataset.values("flowers_cluster.label")).most_common())

    def last_step(self):
        self.dataset.reload()
        return next(reversed(self.dataset.get_run_info("flowers").config.steps), "")

    def wait_for_step(self, said):
        self.app.wait_until(lambda: self.last_step() == said)
        self.app.cy("uvl-edits").get_by_text(said).first.wait_for(state="attached")
        self.app.cy("uvl-idle").wait_for(state="attached")

    def select(self, *names):
        """Clicks on clusters; the grid then shows these."""
        if self.app.cy("uvl-show-all").is_visible():
            self.app.cy("uvl-show-all").click()
            self.app.wait_for_count(300)
        sizes, total = self.sizes(), 0
        for name in names:
            self.app.card(name).click(modifiers=["Control"] if total else [])
            total += sizes[name]
            self.app.wait_for_count(total)
            self.app.cy("uvl-selected").get_by_text(f", {total} images").wait_for()

    def form(self, tool):
        """Opens the form of another operator from the panel."""
        self.app.cy(f"uvl-{tool}").click()
        self.app.button("Execute").wait_for()

    def input_of(self, label):
        return self.app.page.get_by_text(label, exact=True).last.locator(
            "xpath=following::input[1]"
        )

    def explore(self, weights):
        """1. Vectors, clusters, an index and a map, in one form."""
        app = self.app
        app.browse_operators("Explore this dataset")
        app.page.locator('input[value="explore"]').first.fill("flowers")
        app.page.get_by_text("Show all settings of backbone and algorithm").click()
        app.choose("DINOv2 base", "torchvision")
        app.page.locator('input[value="DEFAULT"]').fill(str(weights))
        app.choose("Automatic", "k-means")
        app.page.locator('input[value="10"]').first.fill("6")
        app.choose("umap", "pca")
        self.picture("explore")
        app.execute()
        app.wait_for_text("300 images embedded into 'flowers_embedding'", seconds=300)
        app.close_dialog()
        assert sum(self.sizes().values()) == 300
        assert len(self.sizes()) == 6

    def open_the_panel(self):
        """2. A card for each cluster."""
        app = self.app
        app.open_panel("Clusters")
        app.cy("uvl-picture").first.wait_for()
        assert app.cy("uvl-name").all_inner_texts() == list(self.sizes())
        assert app.cy("uvl-size").all_inner_texts() == [str(n) for n in self.sizes().values()]
        self.picture("panel")

    def look_at_a_cluster(self):
        """3. A click leaves its images in the grid, and on the map."""
        app, (name, size) = self.app, next(iter(self.sizes().items()))
        self.select(name)
        app.open_panel("Embeddings")
        app.page.get_by_text("flowers_map").first.click()
        app.wait_for_text(re.compile(rf"\b{size} in view"))
        self.picture("look")
        app.page.locator('[data-cy="panel-tab-embeddings"] button').click()

    def merge_two(self):
        """4."""
        first, second = list(self.sizes())[-2:]
        together = self.sizes()[first] + self.sizes()[second]
        self.select(first, second)
        self.app.cy("uvl-merge").click()
        self.wait_for_step(f"merged {second} into {first}")
        assert self.sizes()[first] == together
        assert second not in self.sizes()
        self.picture("merge")

    def split_one(self):
        """5."""
        before = self.sizes()
        name = next(iter(before))
        self.select(name)
        self.app.cy("uvl-split").click()
        self.app.cy("uvl-done").click()
        self.wait_for_step(f"split {name} into 2 clusters")
        (new,) = self.sizes().keys() - before.keys()
        assert self.sizes()[name] + self.sizes()[new] == before[name]
        assert self.sizes()[new] > 0

    def rename(self):
        """6. All clusters get the kind that most of their members have."""
        for name in list(self.sizes()):
            view = self.dataset.match({"flowers_cluster.label": name})
            kind = view.count_values("kind.label")
            wanted, size = self.free(max(kind, key=kind.get)), len(view)
            self.select(name)
            self.app.cy("uvl-rename").click()
            self.app.cy("uvl-new-name").fill(wanted)
            self.app.cy("uvl-done").click()
            self.wait_for_step(f"renamed {name} to {wanted}")
            assert self.sizes()[wanted] == size
        self.app.cy("uvl-edits").locator("summary").click()
        self.picture("rename")

    def free(self, name):
        same = [known for known in self.sizes() if known.startswith(name)]
        return f"{name} {len(same) + 1}" if same else name

    def undo(self):
        """7. And do it again."""
        before, step = self.sizes(), self.last_step()
        self.app.cy("uvl-undo").click()
        self.app.wait_until(lambda: self.last_step() != step)
        assert self.sizes() != before
        self.app.cy("uvl-redo").click()
        self.wait_for_step(step)
        assert self.sizes() == before

    def pick_fifty(self):
        """8."""
        app = self.app
        app.cy("uvl-show-all").click()
        app.wait_for_count(300)
        self.form("select_samples")
        self.input_of("How many").fill("50")
        app.execute()
        said = app.wait_for_text("50 of 300 images are picked")
        before, after = re.search(r"([\d.]+)% of all .* before it was ([\d.]+)%", said).groups()
        assert float(before) > float(after)
        app.close_dialog()
        app.wait_for_count(50)
        self.dataset.reload()
        assert self.dataset.count_sample_tags()["pick"] == 50
        assert sorted(filter(None, self.dataset.values("pick"))) == list(range(1, 51))
        assert len(self.dataset.match({"pick_reason": {"$ne": None}})) == 50
        self.picture("pick")
        app.cy("btn-clear-view-bar").click()
        app.wait_for_count(300)

    def make_labels(self):
        """9."""
        app = self.app
        self.form("label_clusters")
        self.input_of("Field").fill("flower")
        app.wait_for_text("300 of 300 images are labelled")
        app.execute()
        app.wait_for_text("300 images got a label in 'flower'")
        app.close_dialog()
        self.dataset.reload()
        labels = Counter(self.dataset.values("flower.label"))
        assert dict(labels.most_common()) == self.sizes()
        assert set(self.dataset.values("flower.source")) == {"cluster"}
        app.cy("tag-flower").first.wait_for()
        self.picture("labels")

    def review(self):
        """10. The picks are a queue; what is excluded stays where it is."""
        app = self.app
        app.cy("uvl-review").click()
        app.button("50 of 50 left").click()
        app.wait_for_count(50)
        app.select_first_sample()
        app.button("Exclude selected").click()
        app.wait_until(lambda: self.tags().get("exclude") == 1)
        app.wait_for_count(49)
        self.picture("review")
        assert all(Path(file).exists() for file in self.dataset.values("filepath"))
        app.cy("btn-clear-view-bar").click()
        app.wait_for_count(300)

    def tags(self):
        self.dataset.reload()
        return self.dataset.count_sample_tags()

    def export(self):
        """11. Without what was excluded."""
        app = self.app
        app.browse_operators("Export")
        app.choose("FiftyOne: everything", "Folders, one a class")
        app.choose("kind", re.compile("^flower$"))
        self.input_of("Folder").fill("/data/flowers")
        self.picture("export")
        self.input_of("Folder").fill(str(self.folder))
        app.execute()
        app.wait_for_text("299 samples were written")
        app.close_dialog()
        files = Counter(path.parent.name for path in self.folder.glob("*/*.jpg"))
        assert files.total() == 299
        assert not Counter(files) - Counter(self.sizes())

    def report(self):
        """12."""
        app = self.app
        app.cy("panel-tab-uvl_clusters").click()
        self.form("write_report")
        page = self.folder.with_suffix(".html")
        self.input_of("File").fill(str(page))
        with app.page.expect_download() as download:
            app.execute()
        app.wait_for_text(str(page))
        assert Path(download.value.path()).read_text() == page.read_text()
        assert all(name in page.read_text() for name in self.sizes())


def test_the_whole_story(app, flowers, real_data, tmp_path):
    with served(flowers) as address:
        app.open(address, "flowers")
        story = Story(app, flowers, tmp_path / "labelled")
        story.explore(real_data / WEIGHTS)
        story.open_the_panel()
        story.look_at_a_cluster()
        story.merge_two()
        story.split_one()
        story.rename()
        story.undo()
        story.pick_fifty()
        story.make_labels()
        story.review()
        story.export()
        story.report()
    assert set(story.taken) <= set(re.findall(r"images/([\w-]+\.png)", PAGE.read_text()))
