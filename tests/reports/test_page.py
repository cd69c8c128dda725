"""The page of a report: whole, harmless and readable without a network."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvl_plugin.reports.colours import CLUSTERS, OTHERS, colours_of
from uvl_plugin.reports.page import block, html_of
from uvl_plugin.reports.parts import (
    Bar,
    Facts,
    Galleries,
    Gallery,
    Listing,
    Named,
    Page,
    Picture,
    Scatter,
    Section,
    Strip,
    Table,
    Text,
)
from uvl_plugin.reports.scatter import HEIGHT, WIDTH, drawn

URL = "data:image/jpeg;base64,AAAA"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "p", "h1", "h2", "h3", "dl", "div",
    "dt", "dd", "ul", "li", "a", "nav", "main", "section", "table", "thead", "tbody", "tr", "th",
    "td", "small", "i", "b", "span", "figure", "figcaption", "img", "svg", "path", "text", "footer",
    "script", "input",
}  # fmt: skip
EMPTY = {"meta", "img", "input"}


class Reading(HTMLParser):
    """Tags, attributes and text of a page; checks that every tag is closed."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def page(name="daisy", points=40):
    random = np.random.default_rng(0)
    picture = Picture(URL, name)
    scatter = Scatter(
        random.normal(size=(points, 2)), np.arange(points) % 3 - 1, (name, "other"), colours_of(2)
    )
    row = (Named(name, CLUSTERS[0], name), Bar(0.5, name, CLUSTERS[0]), name, Strip((picture,)))
    parts = (
        Text(name), Text(name, quiet=True), Listing((name,)), Gallery(name, (picture,)),
        Galleries((Gallery(name, (Picture("", name),)),)), scatter,
        Table((name, "Size", "Label", "Typical"), (row,), searched=True),
    )  # fmt: skip
    return Page(
        title=name,
        subtitle=name,
        facts=Facts(((name, name),)),
        summary=((name, "first"), (name, "nowhere")),
        sections=(Section("first", name, parts),),
        missing=((name, name),),
        made=name,
    )


def test_every_text_of_a_user_is_only_text():
    plain, evil = Reading(html_of(page())), Reading(html_of(page(EVIL)))
    assert plain.tags == evil.tags
    assert set(evil.tags) <= TAGS
    assert not [name for _, name, _ in evil.attributes if name.startswith("on")]
    cut = 1  # the name in the map is shortened
    assert "".join(evil.texts).count(EVIL) == "".join(plain.texts).count("daisy") - cut > 15
    spoken = [value for tag, name, value in evil.attributes if (tag, name) == ("img", "alt")]
    assert spoken == [EVIL] * 2


@settings(max_examples=20)
@given(st.text(min_size=1, max_size=40))
def test_no_name_changes_the_page(name):
    assert Reading(html_of(page(name, 3))).tags == Reading(html_of(page(points=3))).tags


def test_nothing_is_loaded_from_anywhere():
    html = html_of(page())
    for tag, name, value in Reading(html).attributes:
        if name in ("src", "href"):
            assert value.startswith(("data:image/", "#")), (tag, value)
    assert "url(" not in html
    assert "@import" not in html
    assert "http" not in html.replace("http-equiv", "")


def test_the_policy_allows_this_script_and_no_other():
    html = html_of(page(EVIL))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{known}'" in policy
    assert "default-src 'none'" in policy


def test_a_link_leads_only_to_a_chapter_that_is_there():
    html = html_of(page())
    links = re.findall(r'href="#([^"]+)"', html)
    assert set(links) == {"first", "missing"}
    assert all(f'id="{link}"' in html for link in links)


def test_a_map_has_every_point_once_inside_the_drawing():
    random = np.random.default_rng(1)
    points = random.normal(size=(500, 2)) * [1e-3, 50] + 7
    groups = random.integers(-1, 34, 500)
    names = tuple(f"cluster {number}" for number in range(34))
    html = drawn(Scatter(points, groups, names, colours_of(34)))
    places = np.array(re.findall(r"M(-?\d+) (-?\d+)h0", html), int)
    assert len(places) == 500
    assert (places >= 0).all()
    assert (places <= [WIDTH, HEIGHT]).all()
    dots = {
        key: path.count("h0")
        for key, path in re.findall(r'data-group="(\w+)"[^>]*d="([^"]*)', html)
    }
    assert dots["noise"] == (groups < 0).sum()
    assert dots["rest"] == (groups >= len(CLUSTERS)).sum()
    assert dots["3"] == (groups == 3).sum()
    assert "4 smaller clusters" in html


@pytest.mark.parametrize("points", [0, 1, 2])
def test_a_map_of_hardly_any_points_is_no_error(points):
    assert block(Scatter(np.ones((points, 2)), np.zeros(points, int), ("a",), colours_of(1)))


def test_names_in_the_map_do_not_overlap():
    names = tuple("abcdefghij")
    html = drawn(Scatter(np.zeros((10, 2)), np.arange(10), names, colours_of(10)))
    assert html.count("<text") == 1
    apart = np.arange(10)[:, None] * [1.0, 1.0]
    assert drawn(Scatter(apart, np.arange(10), names, colours_of(10))).count("<text") == 10


def test_thirty_clusters_have_a_colour_of_their_own():
    colours = colours_of(35)
    assert len(set(colours[:30])) == 30
    assert set(colours[30:]) == {OTHERS}


def test_something_else_is_no_part_of_a_page():
    with pytest.raises(TypeError, match="int is no part of a page"):
        block(3)
