"""Makes small videos of every kind, with the number of each picture burnt in, by ffmpeg."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

HEIGHT, WIDTH = 96, 128
_BLOCK = 32  # pixels; large enough to survive compression
_BITS = 12
N_PICTURES = 60


def picture(number: int) -> np.ndarray:
    """Grey blocks ``(96, 128)``, uint8: the bits of the number, from the top left."""
    bits = [(number >> place) & 1 for place in range(_BITS)]
    blocks = np.array(bits, np.uint8).reshape(HEIGHT // _BLOCK, WIDTH // _BLOCK)
    return np.kron(20 + 215 * blocks, np.ones((_BLOCK, _BLOCK), np.uint8))


def burnt_in(pixels: np.ndarray) -> int:
    """The number in a picture ``(96, 128, 3)``, or another size of the same shape."""
    height, width = pixels.shape[:2]
    grey = pixels.reshape(height, width, -1).mean(axis=2)
    number = 0
    for place in range(_BITS):
        row, column = divmod(place, WIDTH // _BLOCK)
        top, left = (row + 0.5) * height / 3, (column + 0.5) * width / 4
        number |= int(grey[int(top), int(left)] > 127) << place
    return number


def ffmpeg(*arguments: object, pictures: bytes | None = None) -> None:
    """Runs ffmpeg, which must not complain."""
    words = ["ffmpeg", "-y", "-v", "error", "-threads", "1", *map(str, arguments)]
    subprocess.run(words, input=pictures, check=True, capture_output=True)


def encode(
    path: Path,
    *options: object,
    rate: object = 25,
    n: int = N_PICTURES,
    first: int = 1,
    audio: tuple = (),
) -> Path:
    """Writes ``n`` numbered pictures, the first one with the number ``first``."""
    raw = b"".join(picture(first + place).tobytes() for place in range(n))
    source = ("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", rate)
    # the range of grey pictures is 0 to 255, that of videos is not
    ffmpeg(*source, "-i", "-", *audio, *options, path, pictures=raw)
    return path


H264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-threads", "1")
_B_FRAMES = ("-bf", "3", "-g", "24", "-sc_threshold", "0")
_TONE = ("-f", "lavfi", "-i", "sine=d=3")


def _h264(path: Path, *options: object, **more: object) -> Path:
    return encode(path, *H264, *_B_FRAMES, *options, **more)  # type: ignore[arg-type]


def _open_gop(path: Path) -> Path:
    """Cut so that it begins with a key frame and pictures that need what was before it."""
    import av

    whole = path.with_name("whole_open_gop.mkv")
    encode(whole, *H264, "-bf", 3, "-g", 12, "-x264-params", "open-gop=1:scenecut=0:b-adapt=0")
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        n_keys = 0
        for packet in source.demux(source.streams.video[0]):
            n_keys += packet.is_keyframe
            if n_keys >= 2 and packet.size:
                packet.stream = stream
                target.mux(packet)
    whole.unlink()
    return path


def _packed(path: Path) -> Path:
    """Two pictures in one packet and the next one empty, as DivX writes B-frames."""
    import av

    whole = path.with_name("whole_packed.avi")
    encode(whole, "-c:v", "libxvid", "-bf", 1, "-g", 12, "-q:v", 3)
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = (packet for packet in source.demux(source.streams.video[0]) if packet.size)
        for place, packet in enumerate(packets):
            packet.stream, packet.pts, packet.dts = stream, place, place
            target.mux(packet)
    whole.unlink()
    return path


def _variable(path: Path) -> Path:
    """Each second, a pause, a run at full rate, and pictures that come two at a time."""
    chosen = "select='lt(mod(n,25),8)+gt(mod(n,25),17)*mod(n,2)'"
    return _h264(path, "-vf", chosen, "-fps_mode", "vfr")


def _late_video(path: Path) -> Path:
    return _h264(
        path, "-map", "0:v", "-map", "1:a", "-vf", "setpts=PTS+0.32/TB", "-c:a", "aac", audio=_TONE
    )


def _edit_list(path: Path) -> Path:
    whole = _h264(path.with_name("whole_edit_list.mp4"))
    ffmpeg("-ss", 1.3, "-i", whole, "-c", "copy", path)
    whole.unlink()
    return path


def _rotated(degrees: int) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        whole = _h264(path.with_name(f"whole_{degrees}.mp4"))
        ffmpeg("-i", whole, "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}", path)
        whole.unlink()
        return path

    return make


def _plain(*options: object, rate: object = 25) -> Callable[[Path], Path]:
    return lambda path: encode(path, *options, rate=rate)


def _h264_at(rate: object, *options: object) -> Callable[[Path], Path]:
    return lambda path: _h264(path, *options, rate=rate)


_X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1")
_AV1 = ("-c:v", "libsvtav1", "-preset", "12", "-g", 24, "-pix_fmt", "yuv420p")
_VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", 24)

KINDS: dict[str, Callable[[Path], Path]] = {
    "b_frames.mp4": _h264,
    "intra.mp4": lambda path: encode(path, *H264, "-g", 1),
    "open_gop.mkv": _open_gop,
    "open_gop.mp4": lambda path: encode(
        path, *H264, "-bf", 3, "-g", 12, "-x264-params", "open-gop=1:scenecut=0"
    ),
    "intra_refresh.mp4": lambda path: encode(
        path, *H264, "-bf", 0, "-g", 12, "-x264-params", "intra-refresh=1"
    ),
    "asp.avi": _plain("-c:v", "mpeg4", "-bf", 2, "-g", 12, "-q:v", 3),
    "packed.avi": _packed,
    "h264.avi": _h264,
    "stream.h264": _h264,
    "thirty.mkv": _h264_at(30),
    "sixty.mkv": _h264_at(60),
    "ntsc.mp4": _h264_at("30000/1001"),
    "ntsc.mkv": _h264_at("30000/1001"),
    "variable.mp4": _variable,
    "variable.mkv": _variable,
    "odd_start.ts": _h264_at(25, "-output_ts_offset", 1234.567),
    "late_video.mp4": _late_video,
    "edit_list.mp4": _edit_list,
    "fragments.mp4": _h264_at(25, "-movflags", "frag_keyframe+empty_moov"),
    "turned_90.mp4": _rotated(90),
    "turned_180.mp4": _rotated(180),
    "turned_270.mp4": _rotated(270),
    "vp8.webm": _plain(
        "-c:v", "libvpx", "-cpu-used", 8, "-auto-alt-ref", 1, "-lag-in-frames", 10, "-g", 24
    ),
    "vp9.webm": _plain(*_VP9),
    "jpeg.avi": _plain("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
    "jpeg.mov": _plain("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
    "ten_bits.mp4": _plain(*_X265, "-x265-params", "log-level=none:keyint=24:bframes=3"),
    "av1.mp4": _plain(*_AV1),
    "interlaced.ts": _plain("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-bf", 2, "-q:v", 3),
}
