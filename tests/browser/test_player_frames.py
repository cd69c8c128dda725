"""Frame numbers are those of the player: each picture as Chromium shows it."""

import base64

import pytest

from tests.browser.driver import FLAGS, find_chromium
from tests.media import videos
from tests.media.test_video import shown
from uvl_plugin.media.video import video_info

pytestmark = pytest.mark.browser

# Seeks as FiftyOne's player does and reads the blocks of the burnt-in number, as burnt_in does
_SEEN = """async ([url, rate, last]) => {
  const video = document.createElement('video');
  video.muted = true;
  const event = (name) => new Promise((done) => { video.addEventListener(name, done, {once: true}) });
  const playable = event('canplay');
  video.src = url;
  await playable;
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext('2d', {willReadFrequently: true});
  const seen = [];
  for (let number = 1; number <= last; number++) {
    const seeked = event('seeked');
    video.currentTime = (number - 1 + 0.01) / rate;
    await seeked;
    context.drawImage(video, 0, 0);
    let bits = 0;
    for (let place = 0; place < 12; place++) {
      const x = (place % 4) * 32 + 16, y = Math.floor(place / 4) * 32 + 16;
      if (context.getImageData(x, y, 1, 1).data[0] > 127) bits |= 1 << place;
    }
    seen.push(bits);
  }
  return seen;
}"""


@pytest.fixture(scope="module")
def page():
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium on this machine; install it, or set UVL_CHROMIUM to its path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser.new_page()
        browser.close()


@pytest.mark.parametrize("kind", ["ntsc.mp4", "variable.mp4", "late_video.mp4", "edit_list.mp4"])
def test_every_number_shows_the_picture_that_is_embedded(kind, page, tmp_path):
    path = videos.KINDS[kind](tmp_path / kind)
    found = shown(path)
    data = base64.b64encode(path.read_bytes()).decode()
    url = f"data:video/mp4;base64,{data}"
    seen = page.evaluate(_SEEN, [url, video_info(str(path)).rate, max(found)])
    assert dict(enumerate(seen, start=1)) == found
