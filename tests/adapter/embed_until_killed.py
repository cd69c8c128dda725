"""A program for ``test_killed.py``: embeds a dataset and notes each file that is decoded."""

import os
import sys
import time

import fiftyone as fo

import uvl_plugin as uvl
from uvl_plugin.media import sources

read = sources.ImageFile.read


def noted(self, reader):
    os.write(log, f"{self.key}\n".encode())
    time.sleep(0.002)
    yield from read(self, reader)


if __name__ == "__main__":
    dataset_name, log_path = sys.argv[1:]
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sources.ImageFile.read = noted
    uvl.embed(fo.load_dataset(dataset_name), uvl.Pixels(size=4), "emb", batch_size=8)
