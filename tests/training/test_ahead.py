"""Batches that are made while others are worked on."""

import threading
import time

import pytest

from uvl_plugin.training.images import ahead


def test_all_items_come_in_their_order():
    assert list(ahead(range(50))) == list(range(50))
    assert list(ahead([])) == []


def test_no_more_are_made_than_asked_for():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    given = ahead(items(), n=2)
    assert next(given) == 0
    time.sleep(0.2)
    assert len(made) == 3  # one given, two waiting
    given.close()
    assert not any(thread.name.startswith("uvl-ahead") for thread in threading.enumerate())


def test_an_error_reaches_whoever_asks():
    def items():
        yield 1
        raise OSError("gone")

    given = ahead(items())
    assert next(given) == 1
    with pytest.raises(OSError, match="gone"):
        next(given)
