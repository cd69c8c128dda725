"""A page as one HTML file, readable without a server and without a network.

Style, script and pictures stand in the file. Its content security policy allows pictures from
``data:`` URLs and this one script, and nothing else: no text of a user can make it load or run
anything.
"""

import base64
import hashlib
from functools import singledispatch
from html import escape

from uvl_plugin.reports.look import SCRIPT, STYLE
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
from uvl_plugin.reports.scatter import drawn

_MISSING = "missing"  # address of the chapter on what was not looked at


def html_of(page: Page) -> str:
    """The whole file as text."""
    sections = [*page.sections, *_missing(page)]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(page.title)}</title><style>{STYLE}</style></head><body>",
            _header(page),
            _contents(sections),
            f"<main>{''.join(map(_section, sections))}</main>",
            f"<footer>{escape(page.made)}</footer>",
            f"<script>{SCRIPT}</script></body></html>",
        ]
    )


def _policy() -> str:
    script = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'"
    )


def _header(page: Page) -> str:
    known = {section.key for section in page.sections}
    lines = "".join(f"<li>{_linked(said, key, known)}</li>" for said, key in page.summary)
    summary = f'<div class="summary"><h2>In short</h2><ul class="plain">{lines}</ul></div>'
    return (
        '<header><p class="kicker">What is in this dataset?</p>'
        f'<h1>{escape(page.title)}</h1><p class="subtitle">{escape(page.subtitle)}</p>'
        f"{block(page.facts)}{summary if lines else ''}</header>"
    )


def _linked(said: str, key: str, known: set[str]) -> str:
    return f'{escape(said)} <a href="#{escape(key)}">more</a>' if key in known else escape(said)


def _contents(sections: list[Section]) -> str:
    links = (f'<a href="#{escape(one.key)}">{escape(one.title)}</a>' for one in sections)
    return f"<nav>{' '.join(links)}</nav>"


def _section(section: Section) -> str:
    content = "".join(map(block, section.blocks))
    title = f"<h2>{escape(section.title)}</h2>"
    return f'<section id="{escape(section.key)}">{title}{content}</section>'


def _missing(page: Page) -> list[Section]:
    if not page.missing:
        return []
    lines = tuple(f"{what} {how}" for what, how in page.missing)
    return [Section(_MISSING, "Not looked at yet", (Listing(lines),))]


@singledispatch
def block(part: object) -> str:
    """A part of a section as HTML."""
    raise TypeError(f"{type(part).__name__} is no part of a page")


@block.register
def _(part: Facts) -> str:
    tiles = (
        f"<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>" for what, value in part.pairs
    )
    return f'<dl class="facts">{"".join(tiles)}</dl>'


@block.register
def _(part: Text) -> str:
    return f"<p{' class=quiet' if part.quiet else ''}>{escape(part.said)}</p>"


@block.register
def _(part: Listing) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in part.lines)
    return f'<ul class="plain">{lines}</ul>'


@block.register
def _(part: Gallery) -> str:
    figures = (
        f"<figure>{_picture(one)}<figcaption>{escape(one.caption)}</figcaption></figure>"
        for one in part.pictures
    )
    return f'<h3>{escape(part.title)}</h3><div class="gallery">{"".join(figures)}</div>'


@block.register
def _(part: Galleries) -> str:
    groups = "".join(f"<div>{block(gallery)}</div>" for gallery in part.galleries)
    return f'<div class="groups">{groups}</div>'


@block.register
def _(part: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in part.columns)
    rows = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in part.rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    search = '<input type="search" data-search hidden placeholder="Search" aria-label="Search">'
    return f'<div class="wide">{search if part.searched else ""}{table}</div>'


@block.register
def _(part: Scatter) -> str:
    return drawn(part)


@singledispatch
def cell(part: object) -> str:
    """A cell of a table as HTML."""
    return f"<td>{escape(str(part))}</td>"


@cell.register
def _(part: Bar) -> str:
    share = min(max(part.share, 0.0), 1.0)
    style = f"width:{share:.1%};background:{escape(part.colour) or 'var(--accent)'}"
    return f'<td>{escape(part.said)}<span class="bar"><b style="{style}"></b></span></td>'


@cell.register
def _(part: Named) -> str:
    dot = f'<i style="background:{escape(part.colour)}"></i>' if part.colour else ""
    under = f"<small>{escape(part.under)}</small>" if part.under else ""
    return f'<td class="name">{dot}{escape(part.name)}{under}</td>'


@cell.register
def _(part: Strip) -> str:
    return f'<td><div class="strip">{"".join(map(_picture, part.pictures))}</div></td>'


def _picture(picture: Picture) -> str:
    said = escape(picture.caption)
    if not picture.url:
        return '<span class="lost">no picture</span>'
    return f'<img src="{escape(picture.url)}" alt="{said}" title="{said}">'
