"""Chapters of a report on what other verbs found about single items."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.report_items import (
    Finding,
    count,
    counts_of,
    findings,
    rows,
    values_of,
)
from uvl_plugin.adapter.target import Target
from uvl_plugin.reports.parts import Gallery, Picture, Section, Text
from uvl_plugin.reports.sections import groups_section

Show = Callable[[Target, Sequence[str], Sequence[str]], tuple[Picture, ...]]

_GROUPS = 6  # shown
_IN_GROUP = 8  # pictures of each
_OUTLIERS = 18
_OF_ISSUE = 8
_PICKS = 24
_SUSPECTS = 18
_IS = {"$ne": None}


def near_duplicates(samples: SampleCollection, show: Show) -> list[tuple[Section, str]]:
    """Groups of items that look nearly the same, and a sentence for the summary."""
    return [
        _groups(found, show, "duplicates", "Near-duplicates", "near-duplicates")
        for found in findings(samples, "find_duplicates", "_group")[:1]
    ]


def copies(samples: SampleCollection, show: Show) -> list[tuple[Section, str]]:
    """Groups of files with the same content."""
    return [
        _groups(found, show, "copies", "Copies of files", "byte-for-byte copies of other files")
        for found in findings(samples, "find_copies", "_group")[:1]
    ]


def _groups(found: Finding, show: Show, key: str, title: str, what: str) -> tuple[Section, str]:
    items, group = found.items, found.name
    of = f"{group.removesuffix('_group')}_of"
    n_duplicates = count(items, {of: _IS})
    sizes = counts_of(items, group)
    said = (
        f"{n_duplicates:,} {items.unit} are {what} and could go; {len(sizes):,} "
        f"{items.unit} like them stay. The largest groups, the one that stays first:"
    )
    shown = []
    for number in list(sizes)[:_GROUPS]:
        own = rows(items, {group: number}, [of], {of: 1}, _IN_GROUP)
        names = ["duplicate" if row.get(of) else "stays" for row in own]
        pictures = show(items, [row["id"] for row in own], names)
        shown.append((f"{sizes[number]:,} {items.unit}", pictures))
    short = f"{n_duplicates:,} {items.unit} are {what}."
    return groups_section(key, title, said, shown), short


def outliers(samples: SampleCollection, show: Show) -> list[tuple[Section, str]]:
    """The most outlying items."""
    told = []
    for found in findings(samples, "find_outliers")[:1]:
        items, score, cut = found.items, found.name, float(found.asked.get("cut", 1.0))
        n_above = count(items, {score: {"$gt": cut}})
        top = rows(items, {score: _IS}, [score], {score: -1}, _OUTLIERS)
        pictures = show(items, [row["id"] for row in top], [f"{row[score]:.2f}" for row in top])
        short = f"{n_above:,} {items.unit} are unlike anything near them."
        said = f"{short} Their score lies above {cut:.2f}; 0.5 is an item like those around it."
        blocks = (Text(said), Gallery("The most unlike all others", pictures))
        told.append((Section("outliers", "Outliers", blocks), short))
    return told


def poor_images(samples: SampleCollection, show: Show) -> list[tuple[Section, str]]:
    """Pictures that are blank, dark, blurred or broken."""
    told = []
    for found in findings(samples, "find_poor_images", "_issue")[:1]:
        items, issue = found.items, found.name
        counts = counts_of(items, issue)
        named = ", ".join(f"{size:,} {name}" for name, size in counts.items())
        n_poor = f"{sum(counts.values()):,} {items.unit} are poor pictures: {named}."
        short = n_poor if counts else f"No {items.unit} are poor pictures."
        galleries = []
        for name, size in counts.items():
            ids = [row["id"] for row in rows(items, {issue: name}, [], {}, _OF_ISSUE)]
            pictures = show(items, ids, [""] * len(ids))
            galleries.append(Gallery(f"{name} ({size:,})", pictures))
        told.append((Section("poor", "Poor pictures", (Text(short), *galleries)), short))
    return told


def suspects(items: Target, evaluation: Mapping[str, Any], show: Show) -> list[tuple[Section, str]]:
    """Items whose label may be wrong, by the last evaluation against labels."""
    doubted = evaluation.get("suspects") or []
    inside = values_of(items, [one["id"] for one in doubted], "_id")
    doubted = [one for one in doubted if one["id"] in inside]
    if not doubted:
        return []
    some = doubted[:_SUSPECTS]
    captions = [f"labelled {one['given']}; looks like {one['suggested']}" for one in some]
    pictures = show(items, [one["id"] for one in some], captions)
    truth = evaluation.get("ground_truth")
    short = f"{len(doubted):,} {items.unit} may have a wrong label in '{truth}'."
    blocks = (Text(f"{short} The clusters speak for another one."), Gallery("Look at", pictures))
    return [(Section("suspects", "Labels that may be wrong", blocks), short)]


def picks(samples: SampleCollection, show: Show) -> list[tuple[Section, str]]:
    """What was picked for labelling, and why."""
    told = []
    for found in findings(samples, "select", "_reason")[:1]:
        items, reason = found.items, found.name
        rank = reason.removesuffix("_reason")
        n_picked = count(items, {rank: _IS})
        top = rows(items, {rank: _IS}, [rank, reason], {rank: 1}, _PICKS)
        captions = [f"{row[rank]}. {row.get(reason) or ''}" for row in top]
        pictures = show(items, [row["id"] for row in top], captions)
        short = f"{n_picked:,} {items.unit} are picked for labelling."
        blocks = (Text(short + _coverage(found.asked)), Gallery("The first ones", pictures))
        told.append((Section("picks", "Suggested picks", blocks), short))
    return told


def _coverage(asked: Mapping[str, Any]) -> str:
    """What the picks cover; empty where that was not noted."""
    if "covered" not in asked:
        return ""
    return (
        f" With them {asked['covered']:.1%} of all lie near a labelled or picked one, before it "
        f"was {asked['covered_before']:.1%}."
    )
