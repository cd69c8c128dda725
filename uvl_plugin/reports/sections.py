"""The chapters of a report on a dataset, from plain values."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from uvl_plugin.reports.parts import (
    Bar,
    Block,
    Cell,
    Facts,
    Galleries,
    Gallery,
    Listing,
    Named,
    Picture,
    Section,
    Strip,
    Table,
    Text,
)

if TYPE_CHECKING:
    from uvl_plugin.adapter.cards import Card, Cards

MOST_CLUSTERS = 60  # rows of the table
_PICTURED = 30  # rows that have pictures
_MOST_LEVELS = 12  # names told of the other level
_MOST_STEPS = 20
_MOST_CLASSES = 20


def pictured(cards: Sequence["Card"], most: int) -> dict[int, tuple[str, ...]]:
    """Ids of the pictures of each cluster that gets some, by its place."""
    return {place: card.exemplars[:most] for place, card in enumerate(cards[:_PICTURED]) if most}


def clusters_section(
    found: "Cards",
    cards: Sequence["Card"],
    colours: Sequence[str],
    pictures: Mapping[int, tuple[Picture, ...]],
    proposals: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Section:
    """The table of clusters.

    Args:
        found: the clusters as the run has them.
        cards: those that are shown, the largest first.
        colours: of each of them.
        pictures: of some, by their place.
        proposals: names with their scores, the best first, by the number of a cluster.
    """
    total = found.n_items or 1
    columns: dict[str, list[Cell]] = {
        "Cohesion": [_number(card.cohesion) for card in cards],
        "Novelty": [_number(card.novelty) for card in cards],
        "Commonest label": [_pure(card) for card in cards],
        "Suggested names": [_proposed(proposals.get(str(card.number), ())) for card in cards],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    rows = []
    for place, card in enumerate(cards[:MOST_CLUSTERS]):
        share = size_of(card) / total
        said = f"{size_of(card):,} ({share:.1%})"
        largest = max(size_of(cards[0]), 1)
        bar = Bar(size_of(card) / largest, said, colours[place])
        own = tuple(cells[place] for cells in shown.values())
        strip = (Strip(pictures.get(place, ())),) if pictures else ()
        rows.append((Named(card.name, colours[place]), bar, *own, *strip))
    heads = ("Cluster", "Size", *shown, *(("Typical and different",) if pictures else ()))
    blocks: list[Block] = [Text(_intro(found, cards)), Table(heads, tuple(rows), searched=True)]
    rest = cards[MOST_CLUSTERS:]
    if rest:
        items = sum(map(size_of, rest))
        blocks.append(Text(f"And {len(rest):,} smaller ones with {items:,} {found.unit}.", True))
    told = " ".join(_EXPLAINED[name] for name in heads if name in _EXPLAINED)
    blocks.append(Text(told, quiet=True))
    return Section("clusters", "Clusters", tuple(blocks))


_EXPLAINED = {
    "Cluster": "A name that ends in a number was not given by a person.",
    "Cohesion": "Cohesion: how alike the members are, 1 for all the same.",
    "Novelty": "Novelty: how far the cluster lies from the nearest other one.",
}


def size_of(card: "Card") -> int:
    """Items of a cluster that are in what the report is on."""
    return card.size if card.shown is None else card.shown


def _intro(found: "Cards", cards: Sequence["Card"]) -> str:
    said = f"The clustering '{found.run_key}' has put {found.n_items:,} {found.unit} into "
    said += f"{len(cards):,} clusters by how they look"
    return said + (f"; {found.n_noise:,} are like no group." if found.n_noise else ".")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _pure(card: "Card") -> "Named | str":
    if card.label is None or card.purity is None:
        return ""
    return Named(card.label, under=f"{card.purity:.0%} of those labelled")


def _proposed(names: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['name']} ({one['score']:.2f})" for one in names[:3])


def level_text(level: str, sizes: Mapping[str, int]) -> Text:
    """What the other level is."""
    named = [f"{name} ({size:,})" for name, size in list(sizes.items())[:_MOST_LEVELS]]
    more = " and so on" if len(sizes) > _MOST_LEVELS else ""
    return Text(f"At the {level} level there are {len(sizes):,}: {', '.join(named)}{more}.")


def edits_section(steps: Sequence[Mapping[str, Any]], n_undone: int) -> Section:
    """What people have changed."""
    lines = tuple(map(_step, steps[-_MOST_STEPS:]))
    said = f"People have changed the clusters in {len(steps):,} steps that hold"
    said += f"; {n_undone:,} were taken back." if n_undone else "."
    return Section("edits", "Edits", (Text(said), Listing(lines)))


def _step(step: Mapping[str, Any]) -> str:
    """Such as "merged a into b · anna · 2026-03-02 11:08"."""
    when = str(step.get("when") or "")[:16].replace("T", " ")
    return " · ".join(str(said) for said in (step["said"], step.get("who"), when) if said)


def labels_section(field: str, counts: Mapping[str, int], n_items: int, unit: str) -> Section:
    """How often each label is there."""
    labelled = sum(counts.values())
    largest = max(counts.values(), default=1)
    rows = tuple(
        (str(name), Bar(size / largest, f"{size:,} ({size / max(labelled, 1):.1%})"))
        for name, size in list(counts.items())[:_MOST_CLASSES]
    )
    said = f"'{field}' has {len(counts):,} different labels on {labelled:,} of {n_items:,} {unit}."
    rest = len(counts) - len(rows)
    more = (Text(f"And {rest:,} rarer ones.", quiet=True),) if rest else ()
    return Section("labels", "Labels", (Text(said), Table(("Label", "Count"), rows), *more))


def groups_section(
    key: str,
    title: str,
    said: str,
    groups: Sequence[tuple[str, tuple[Picture, ...]]],
) -> Section:
    """Groups of items that are the same, or nearly: a title and the pictures of each."""
    galleries = tuple(Gallery(name, pictures) for name, pictures in groups)
    return Section(key, title, (Text(said), Galleries(galleries)))


def evaluation_section(evaluation: Mapping[str, Any]) -> Section | None:
    """Figures of the last evaluation."""
    facts = [
        (name, f"{value:.1%}" if percent else f"{value:.2f}")
        for part, figures in _FIGURES.items()
        for attribute, name, percent in figures
        if (value := (evaluation.get(part) or {}).get(attribute)) is not None
    ]
    if not facts:
        return None
    truth = evaluation.get("ground_truth")
    against = f"against '{truth}', which the clustering has not seen" if truth else "without labels"
    notes = tuple(Text(str(note), quiet=True) for note in evaluation.get("notes") or ())
    said = Text(f"The last evaluation of these clusters, {against}.")
    return Section("quality", "How good the clusters are", (said, Facts(tuple(facts)), *notes))


_FIGURES = {
    "agreement": [
        ("accuracy", "items whose cluster stands for their label", True),
        ("nmi", "mutual information, 0 to 1", False),
        ("purity", "purity", True),
    ],
    "held_out": [("many_to_one", "accuracy on held-out halves", True)],
    "separation": [("silhouette", "silhouette, -1 to 1", False)],
}
