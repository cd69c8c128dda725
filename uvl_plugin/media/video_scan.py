"""Numbers of a video's frames, without decoding it where the file stores times."""

from array import array
from bisect import bisect_right

from uvl_plugin.media.video_file import VideoFile, opened
from uvl_plugin.media.video_numbers import Numbering
from uvl_plugin.media.video_pictures import Pictures


def last_number(path: str, rate: float | None) -> int:
    """Number of the last frame, 0 where there is none; raises as :func:`opened` does."""
    with opened(path) as file:
        times, _ = _times(file, decode=False)
        if not times:
            return 0
        return Numbering.of(file.info, rate).last_by(times[-1] + 1 / file.info.rate)


def key_numbers(path: str, rate: float | None) -> list[int]:
    """Numbers of the frames that the file stores whole; raises as :func:`opened` does."""
    with opened(path) as file:
        times, keys = _times(file, decode=file.info.counted)
        numbering = Numbering.of(file.info, rate)
    found = []
    for key in keys:
        number = numbering.first_of(key)
        if times[bisect_right(times, numbering.seen_by(number)) - 1] == key:
            found.append(number)
    return found


def _times(file: VideoFile, decode: bool) -> tuple[array, list[float]]:
    """When pictures and key pictures begin, in order; eight bytes a picture."""
    pictures = Pictures(file)
    found = pictures if decode else pictures.undecoded()
    times, keys = array("d"), []
    for picture in found:
        times.append(picture.start)
        if picture.key:
            keys.append(picture.start)
    return array("d", sorted(times)), sorted(keys)
