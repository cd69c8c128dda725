"""What a page consists of. Every text may come from a user: the page escapes it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Picture:
    """A small picture.

    Attributes:
        url: a ``data:`` URL; empty where the picture could not be read.
        caption: stands under it, and is what a screen reader says.
    """

    url: str
    caption: str = ""


@dataclass(frozen=True)
class Facts:
    """Figures side by side: pairs of what it is and its value."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Text:
    """A paragraph; a ``quiet`` one is a note in small print."""

    said: str
    quiet: bool = False


@dataclass(frozen=True)
class Listing:
    """Short lines, one below the other."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Gallery:
    """Pictures in a row, under a title."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Galleries:
    """Small galleries side by side."""

    galleries: tuple[Gallery, ...]


@dataclass(frozen=True)
class Bar:
    """A cell with a share, 0 to 1, as a bar, and its value in words."""

    share: float
    said: str
    colour: str = ""


@dataclass(frozen=True)
class Named:
    """A cell with a name, a dot in its colour, and a line of small print."""

    name: str
    colour: str = ""
    under: str = ""


@dataclass(frozen=True)
class Strip:
    """A cell with pictures."""

    pictures: tuple[Picture, ...]


Cell = str | Bar | Named | Strip


@dataclass(frozen=True)
class Table:
    """Rows below the names of their columns.

    Attributes:
        searched: whether the page offers to search the rows, where it may run its script.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    searched: bool = False


@dataclass(frozen=True)
class Scatter:
    """A map of points.

    Attributes:
        points: shape ``(n, 2)``, in any unit.
        groups: number of the group of each point, shape ``(n,)``; -1: in none.
        names: of the groups, the largest first.
        colours: of the groups.
    """

    points: np.ndarray
    groups: np.ndarray
    names: tuple[str, ...]
    colours: tuple[str, ...]


Block = Facts | Text | Listing | Gallery | Galleries | Table | Scatter


@dataclass(frozen=True)
class Section:
    """A chapter: ``key`` is its address in the page."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title, subtitle: the heading.
        facts: figures below it.
        summary: the most important sentences, each with the key of the section that has more.
        sections: the chapters.
        missing: what was not looked at, and what would do it.
        made: by what and when, for the foot of the page.
    """

    title: str
    subtitle: str
    facts: Facts
    summary: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    missing: tuple[tuple[str, str], ...]
    made: str
