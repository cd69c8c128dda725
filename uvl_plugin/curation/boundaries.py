"""Where one shot of a video ends and the next begins, seen in the vectors of its frames."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.settings import Settings, setting

_ROWS = 2048  # frames that are compared at a time
_SAMPLE = 200  # frames whose distances say how much a video varies
_UNLIKE, _QUIET = 0.8, 0.25  # quantiles


@dataclass(frozen=True, kw_only=True)
class Boundaries(Settings):
    """How boundaries are found; the defaults are for shots of about a second and more.

    Seconds are turned into frames by the usual distance of the frames that are given, so they
    hold for any choice of frames. The thresholds are cosine distances, and two of three depend
    on the video, so that they hold for any backbone.
    """

    window: float = setting(
        0.75, ge=0.0, le=60.0,
        help="Seconds before and after a boundary that are compared; 2 frames at least.",
    )  # fmt: skip
    flash: float = setting(
        0.2, ge=0.0, le=10.0,
        help="Seconds: what differs from before and after for no longer than this is a flash, not "
        "a shot; 1 frame at least. 0: there are no flashes.",
    )  # fmt: skip
    shortest: float = setting(
        0.75, ge=0.0, le=600.0, help="Seconds that a shot lasts at least; 2 frames at least."
    )
    contrast: float = setting(
        0.5, ge=0.0, le=2.0,
        help="Least change, as a share of how far apart unlike frames of the video are.",
    )  # fmt: skip
    faint: float = setting(
        0.35, ge=0.0, le=2.0,
        help="The same, where the frames on both sides are alike: then less is enough.",
    )  # fmt: skip
    clean: float = setting(
        5.0, ge=0.0, le=1000.0,
        help="They are alike if the change is so many times their spread.",
    )  # fmt: skip
    unrest: float = setting(
        6.0, ge=0.0, le=1000.0,
        help="Least change, as a multiple of the change in the video's calm quarter.",
    )  # fmt: skip
    least: float = setting(0.15, ge=0.0, le=2.0, help="Least change, as a cosine distance.")


def boundaries(
    numbers: np.ndarray, vectors: np.ndarray, rate: float, settings: Boundaries
) -> np.ndarray:
    """Finds the frames at which a new shot begins.

    Only the directions of the vectors count. Every frame is first replaced by the most typical
    one around it, so that flashes vanish and cuts stay sharp (J. Astola, P. Haavisto, Y. Neuvo,
    "Vector median filters", Proc. IEEE 78, 1990, page 678). The change at a frame is then how
    far apart the frames before it and those from it on are (J. Foote, "Automatic audio
    segmentation using a measure of audio novelty", ICME 2000, page 452). A boundary is where
    that is greatest nearby and above all three thresholds; in a cross-fade it is put where the
    new shot begins to prevail. Time and memory grow with ``t``.

    Args:
        numbers: of the frames, increasing, shape ``(t,)``; there may be gaps.
        vectors: shape ``(t, dim)``, finite.
        rate: by which the numbers count, frames a second.

    Returns:
        Numbers of the first frames of all shots but the first one, increasing, int64.

    Raises:
        DataError: if shapes disagree, the numbers do not increase or the rate is not above 0.
    """
    numbers, vectors = np.asarray(numbers, np.int64), np.asarray(vectors)
    _check(numbers, vectors, rate)
    if len(numbers) < 2:
        return np.empty(0, np.int64)
    second = rate / float(np.median(np.diff(numbers)))  # frames given in a second
    unit = unit_length(np.asarray(vectors, np.float32))
    steady = unit
    if settings.flash > 0:
        steady = _without_flashes(unit, _frames(settings.flash, second, 1))
    window = _frames(settings.window, second, 2)
    change = novelty(steady, window)
    always = max(settings.least, settings.unrest * float(np.quantile(change[1:], _QUIET)))
    contrast = _contrast(steady)
    gap = _frames(settings.shortest, second, 2)
    peaks = _peaks(change, max(always, min(settings.faint, settings.contrast) * contrast), gap)
    large = change[peaks] > settings.contrast * contrast
    clean = change[peaks] > settings.clean * _spreads(steady, peaks, 2 * window)
    return numbers[_placed(unit, peaks[large | clean], window, gap)]


def novelty(vectors: np.ndarray, window: int) -> np.ndarray:
    """Cosine distance of the mean directions of the ``window`` frames before each frame and of
    those from it on, ``(t,)``, 0 to 2; fewer frames at the ends, 0 at the first frame.

    Args:
        vectors: of length 1, shape ``(t, dim)``.
    """
    t = len(vectors)
    found = np.zeros(t)
    for start in range(1, t, _ROWS):
        rows = np.arange(start, min(t, start + _ROWS))
        first = max(0, start - window)
        sums = _running(vectors[first : rows[-1] + window])
        at = rows - first
        before = unit_length(sums[at] - sums[np.maximum(at - window, 0)])
        after = unit_length(sums[np.minimum(at + window, len(sums) - 1)] - sums[at])
        found[rows] = ((before - after) ** 2).sum(axis=1) / 2.0
    return found


def _frames(seconds: float, second: float, least: int) -> int:
    """Frames in so many seconds, but at least so many."""
    return max(least, round(seconds * second))


def _running(vectors: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, 2, ... rows, ``(rows + 1, dim)``, float64."""
    zero = np.zeros((1, vectors.shape[1]))
    return np.concatenate([zero, np.cumsum(vectors, axis=0, dtype=np.float64)])


def _without_flashes(unit: np.ndarray, reach: int) -> np.ndarray:
    """Unit vectors ``(t, dim)``, each replaced by the one among itself and ``reach`` on either side that is
    nearest to all of these; at the ends the last one counts more than once."""
    t, width = len(unit), 2 * reach + 1
    chosen = np.arange(t)
    for start in range(0, t, _ROWS):
        n = min(_ROWS, t - start)
        around = np.clip(np.arange(start - reach, start + n + reach), 0, t - 1)
        near = unit[around]
        sums = _running(near)
        sums = (sums[width:] - sums[:-width]).astype(np.float32)
        alike = [np.einsum("ij,ij->i", near[i : i + n], sums) for i in range(width)]
        chosen[start : start + n] = around[np.arange(n) + np.argmax(alike, axis=0)]
    return unit[chosen]


def _contrast(unit: np.ndarray) -> float:
    """How far apart unlike frames of the video are: the upper fifth of the cosine distances of
    frames from all over it begins there. It hardly depends on how many shots there are."""
    t = len(unit)
    some = unit[np.unique(np.linspace(0, t - 1, min(t, _SAMPLE)).round().astype(np.int64))]
    return float(np.quantile(1.0 - some @ some.T, _UNLIKE))


def _spreads(unit: np.ndarray, peaks: np.ndarray, reach: int) -> np.ndarray:
    """The larger one of how far frames before and behind each peak are from their mean."""
    sides = [(unit[max(0, peak - reach) : peak], unit[peak : peak + reach]) for peak in peaks]
    spreads = [
        [1.0 - float((side @ unit_length(side.mean(axis=0)[None])[0]).mean()) for side in both]
        for both in sides
    ]
    return np.array(spreads).reshape(-1, 2).max(axis=1)


def _peaks(change: np.ndarray, threshold: float, gap: int) -> np.ndarray:
    """Indices of the greatest changes above the threshold, increasing; ``gap`` at least from each
    other and from both ends."""
    t = len(change)
    free = np.zeros(t, bool)
    free[gap : t - gap + 1] = True
    candidates = np.flatnonzero(change > threshold)
    kept = []
    for index in candidates[np.argsort(-change[candidates], kind="stable")].tolist():
        if free[index]:
            kept.append(index)
            free[max(0, index - gap + 1) : index + gap] = False
    return np.array(sorted(kept), np.int64)


def _placed(unit: np.ndarray, peaks: np.ndarray, window: int, gap: int) -> np.ndarray:
    """Where what comes after each peak begins to prevail over what was before it, increasing and
    ``gap`` apart like the peaks.

    Both are taken from beyond a ``window``, where a cross-fade is over, and frames are divided so
    that the sum of the cosines to their own side is greatest.
    """
    placed = peaks.copy()
    for number, peak in enumerate(peaks.tolist()):
        low = int(placed[number - 1]) if number else 0
        high = int(peaks[number + 1]) if number + 1 < len(peaks) else len(unit)
        before = unit[max(low, peak - 2 * window) : max(low + 1, peak - window)].sum(axis=0)
        after = unit[min(high - 1, peak + window) : min(high, peak + 2 * window)].sum(axis=0)
        first = max(low + gap, peak - window)
        near = unit[first : min(high - gap, peak + window)]
        lead = near @ (unit_length(before[None]) - unit_length(after[None]))[0]
        placed[number] = first + int(np.argmax(np.append(0.0, np.cumsum(lead))))
    return placed


def _check(numbers: np.ndarray, vectors: np.ndarray, rate: float) -> None:
    if vectors.ndim != 2 or numbers.shape != vectors.shape[:1]:
        raise DataError(
            f"Boundaries need frame numbers (t,) and vectors (t, dim), got {numbers.shape} and "
            f"{vectors.shape}."
        )
    if (np.diff(numbers) <= 0).any():
        raise DataError("Frame numbers must increase; sort the frames of the video first.")
    if not rate > 0:
        raise DataError(f"The frame rate must be above 0, got {rate}.", "rate")
