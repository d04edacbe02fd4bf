"""A small labelled set of noise pictures, for the tests of data sets and of their loader."""

import hashlib
import zipfile
from contextlib import closing
from itertools import islice

import numpy as np
from PIL import Image

from data.archive import encode_png, write_archive
from data.loader import Loader, LoaderConfig

COUNT, SIZE = 23, 16


def noise_pictures():
    """Return uint8 [COUNT, SIZE, SIZE, 3], always the same."""
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3)).astype(np.uint8)


def write_set(path):
    """Write the pictures as a zip, with their index for a label."""
    pictures = [encode_png(Image.fromarray(array)) for array in noise_pictures()]
    write_archive(path, pictures, labels=list(range(COUNT)))
    return path


def unpack(path, folder):
    """Unpack a zip, so that single pictures can be changed."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


def take(dataset, count, batch=4, *, start=0, rank=0, size=1, labels=None, **config):
    """Return the first `count` batches that rank `rank` of `size` is given, and the loader."""
    loader = Loader(dataset, LoaderConfig(**config), labels)
    stream = loader.batches(lambda k: range(k * batch + rank, (k + 1) * batch, size), start)
    with closing(stream):
        return list(islice(stream, count)), loader


def digests(batches):
    """Return one digest for each picture of the batches."""
    return [hashlib.sha256(image.numpy().tobytes()).digest() for b in batches for image in b.images]
