import sys
import textwrap
import threading
from importlib import metadata

import pytest

from uvl_plugin.core.errors import UVLError
from uvl_plugin.core.registry import Registry

BASE = """
from uvl_plugin.core.registry import Registry
zoo = Registry("animal", "uvl_test_zoo")
"""
ANIMAL = """
import time
from uvl_test_zoo.base import zoo

time.sleep(0.02)

@zoo.register
class {cls}:
    name = "{name}"
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a registry and two entries, which nobody has imported yet."""
    folder = tmp_path / "uvl_test_zoo"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "base.py").write_text(textwrap.dedent(BASE))
    (folder / "lion.py").write_text(ANIMAL.format(cls="Lion", name="lion"))
    (folder / "zebra.py").write_text(ANIMAL.format(cls="Zebra", name="zebra"))
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("uvl_test_")]:
        del sys.modules[name]


def zoo() -> Registry:
    from uvl_test_zoo.base import zoo

    return zoo


def test_the_modules_of_the_package_are_found(package):
    (package / "emu.py").write_text(ANIMAL.format(cls="Emu", name="emu"))
    assert zoo().names() == ["emu", "lion", "zebra"]
    assert [cls.__name__ for cls in zoo()] == ["Emu", "Lion", "Zebra"]
    assert zoo()["emu"].__name__ == "Emu"
    assert "emu" in zoo()
    assert "gnu" not in zoo()
    assert sorted(zoo().by_class_name()) == ["Emu", "Lion", "Zebra"]


def test_other_distributions_take_part_by_entry_point(package, tmp_path, monkeypatch):
    (tmp_path / "uvl_test_gnu.py").write_text(ANIMAL.format(cls="Gnu", name="gnu"))
    offered = metadata.EntryPoint("gnu", "uvl_test_gnu:Gnu", "uvl_test_zoo")

    def entry_points(*, group):
        return [offered] if group == offered.group else []

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    assert zoo().names() == ["gnu", "lion", "zebra"]


def test_modules_elsewhere_take_part_unless_they_lack_a_package(package, tmp_path):
    (tmp_path / "uvl_test_gnu.py").write_text(ANIMAL.format(cls="Gnu", name="gnu"))
    (tmp_path / "uvl_test_yak.py").write_text(
        "from uvl_plugin.core.packages import check_installed\n"
        "check_installed('uvl_no_such', package='uvl-no-such', needed_by='A yak')\n"
        + ANIMAL.format(cls="Yak", name="yak")
    )
    zoo().also = ("uvl_test_gnu", "uvl_test_yak")
    assert zoo().names() == ["gnu", "lion", "zebra"]


def test_a_broken_module_elsewhere_is_not_hidden(package, tmp_path):
    (tmp_path / "uvl_test_gnu.py").write_text("import uvl_no_such_module")
    zoo().also = ("uvl_test_gnu",)
    with pytest.raises(ModuleNotFoundError, match="uvl_no_such_module"):
        zoo().names()


def test_an_unknown_name_gets_the_nearest_one(package):
    with pytest.raises(UVLError) as caught:
        zoo()["zebre"]
    assert str(caught.value) == (
        "There is no animal 'zebre'. Did you mean 'zebra'? Known: lion, zebra."
    )
    assert isinstance(caught.value, KeyError)


def test_a_name_like_no_other_gets_no_advice(package):
    with pytest.raises(UVLError) as caught:
        zoo()["qqq"]
    assert str(caught.value) == "There is no animal 'qqq'. Known: lion, zebra."


def test_threads_that_ask_at_once_all_see_everything(package):
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(zoo().names())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [["lion", "zebra"]] * 4


def test_a_name_is_taken_once():
    registry = Registry("animal", "uvl_test_zoo")
    Lion = type("Lion", (), {"name": "lion", "__module__": "one"})
    registry.register(Lion)
    with pytest.raises(TypeError, match="animal 'lion' is one.Lion already"):
        registry.register(type("Cougar", (), {"name": "lion", "__module__": "one"}))
    with pytest.raises(TypeError, match="animal 'lion' is one.Lion already"):
        registry.register(type("Lion", (), {"name": "lion", "__module__": "another"}))


def test_a_reloaded_module_replaces_its_own_class():
    registry = Registry("animal", "math")  # a module with nothing to find
    registry._discovered = True
    registry.register(type("Lion", (), {"name": "lion", "__module__": "one"}))
    again = registry.register(type("Lion", (), {"name": "lion", "__module__": "one"}))
    assert registry["lion"] is again


def test_a_class_without_a_name_is_refused():
    with pytest.raises(TypeError, match="Nameless needs a class attribute 'name'"):
        Registry("animal", "uvl_test_zoo").register(type("Nameless", (), {}))
