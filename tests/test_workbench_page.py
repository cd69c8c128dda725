"""The page of the workbench tells the truth: its Python runs, and its pictures are there."""

import re

from tests.fiftyone_fixtures import *  # the fixtures, and FiftyOne on a private database
from tests.private_database import REPOSITORY

PAGE = (REPOSITORY / "docs" / "workbench.md").read_text()


def test_the_python_of_the_page_runs(digits, tmp_path, monkeypatch, capsys):
    import uvl_plugin as uvl

    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(block, {"uvl": uvl, "dataset": digits})  # noqa: S102  our own page
    said = capsys.readouterr().out
    assert "50 of" in said
    assert "images got a label in 'digit'" in said
    labels = digits.exists("digit")
    right = [sample for sample in labels if sample.digit.label[0] == sample.label.label]
    assert len(labels) > 100
    assert len(right) > 0.75 * len(labels)
    assert set(digits.values("digit.source")) <= {"cluster", None}
    assert len(digits.match({"pick": {"$ne": None}})) == 50
    assert "look" in (tmp_path / "report.html").read_text()


def test_its_pictures_are_there():
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", PAGE):
        assert (REPOSITORY / "docs" / path).exists(), path
