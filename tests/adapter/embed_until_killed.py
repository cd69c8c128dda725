"""A program for ``test_killed.py``: embeds a dataset and notes each file, or frame, that is decoded."""

import os
import sys
import time

import fiftyone as fo

import uvl_plugin as uvl
from uvl_plugin.media import sources, video


def noted(read):
    def note_and_read(self, reader):
        os.write(log, f"{self.key}\n".encode())
        time.sleep(0.002)
        yield from read(self, reader)

    return note_and_read


if __name__ == "__main__":
    dataset_name, log_path, field = sys.argv[1:]
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sources.ImageFile.read = noted(sources.ImageFile.read)
    video.OneFrame.read = noted(video.OneFrame.read)
    uvl.embed(fo.load_dataset(dataset_name), uvl.Pixels(size=4), field, batch_size=8)
