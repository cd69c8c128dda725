"""A map of points as SVG: one path for each group, so that thousands of points stay small."""

from html import escape

import numpy as np

from uvl_plugin.reports.colours import CLUSTERS, NOISE, OTHERS
from uvl_plugin.reports.parts import Scatter

WIDTH, HEIGHT = 960, 600  # in units of the drawing
_MARGIN = 16
_STRETCH = 1.6
_NAMED = 14  # largest groups, whose names stand in the map
_SPARE = (8.0, 18.0)  # width of a letter and height of a line, for names that must not overlap
_LONGEST = 28  # letters of a name in the map


def drawn(scatter: Scatter) -> str:
    """The map with its legend, as HTML."""
    places = _placed(np.asarray(scatter.points, float))
    n_own = min(len(scatter.names), len(CLUSTERS))
    layers = [_layer(places[scatter.groups < 0], "in no cluster", NOISE, "noise")]
    rest = scatter.groups >= n_own
    layers.append(_layer(places[rest], "smaller clusters", OTHERS, "rest"))
    for number in reversed(range(n_own)):  # the small ones below, drawn first, would be hidden
        own = places[scatter.groups == number]
        layers.append(_layer(own, scatter.names[number], scatter.colours[number], str(number)))
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Map of the items"'
    svg = f'<svg class="map" {size}>{"".join(layers)}{_labels(places, scatter)}</svg>'
    return svg + _legend(scatter, n_own)


def _placed(points: np.ndarray) -> np.ndarray:
    """Points in units of the drawing, all inside. The axes of such maps mean nothing, so the
    shorter one may be stretched a little to use the room."""
    if not len(points):
        return points.reshape(0, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * _MARGIN
    extent = np.maximum(high - low, 1e-9)
    fitting = room / extent
    scale = np.minimum(fitting, fitting.min() * _STRETCH)
    centred = (points - (low + high) / 2) * scale * [1, -1]
    return centred + np.array([WIDTH, HEIGHT]) / 2


def _layer(places: np.ndarray, name: str, colour: str, key: str) -> str:
    """Round dots: a line of no length with round ends is one."""
    if not len(places):
        return ""
    dots = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in places)
    title = f"<title>{escape(name)}</title>"
    return f'<path data-group="{key}" stroke="{escape(colour)}" d="{dots}">{title}</path>'


def _labels(places: np.ndarray, scatter: Scatter) -> str:
    """Names of the largest groups at the middle of their points, where they do not overlap."""
    written: list[tuple[float, float, float]] = []
    texts = []
    for number, name in enumerate(scatter.names[:_NAMED]):
        own = places[scatter.groups == number]
        if not len(own):
            continue
        short = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
        half = len(short) * _SPARE[0] / 2
        x, y = np.median(own, axis=0)
        x = float(np.clip(x, half, WIDTH - half))
        y = float(np.clip(y, _SPARE[1], HEIGHT - _SPARE[1] / 2))
        if all(abs(x - a) > half + b or abs(y - c) > _SPARE[1] for a, b, c in written):
            written.append((x, half, y))
            texts.append(f'<text x="{x:.0f}" y="{y:.0f}">{escape(short)}</text>')
    return "".join(texts)


def _legend(scatter: Scatter, n_own: int) -> str:
    entries = [
        (str(number), scatter.names[number], scatter.colours[number]) for number in range(n_own)
    ]
    if len(scatter.names) > n_own:
        entries.append(("rest", f"{len(scatter.names) - n_own:,} smaller clusters", OTHERS))
    if (scatter.groups < 0).any():
        entries.append(("noise", "in no cluster", NOISE))
    items = "".join(
        f'<li data-group="{key}"><i style="background:{escape(colour)}"></i>{escape(name)}</li>'
        for key, name, colour in entries
    )
    return f'<ul class="legend">{items}</ul>' if entries else ""
