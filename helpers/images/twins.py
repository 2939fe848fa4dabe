"""Near-duplicates: pictures that are the same picture again, smaller, compressed once more, or taken a moment later.

By perceptual hash: a fingerprint of 256 bits that survives such changes, and the number of bits in which two differ.
"""

import imagehash
import numpy as np
import torch
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIDE = 16  # a fingerprint has SIDE * SIDE bits
NEAR = 48  # of 256 bits; pictures of different things differ in half of them, give or take
_FLAT = 16  # of 255; a picture whose pixels differ by less shows next to nothing
_BLOCK = 256  # rows compared at once


def fingerprint(picture: Image.Image) -> np.ndarray:
    """The difference hash of a picture: bool (16, 16), whether each place is darker than its neighbour on the right.

    Source: imagehash.dhash (J. Buchner), after N. Krawetz, "Kind of Like That", 2013.
    """
    return imagehash.dhash(picture, SIDE).hash


def fingerprints(images: torch.Tensor, rows=None) -> np.ndarray:
    """The fingerprints of uint8 images (M, 3, S, S), or of those in `rows`: bool (M, 256)."""
    rows = range(len(images)) if rows is None else rows
    prints = [fingerprint(Image.fromarray(images[row].permute(1, 2, 0).numpy())).ravel() for row in rows]
    return np.array(prints, bool).reshape(len(prints), SIDE * SIDE)


def near_pairs(prints: np.ndarray, most: int = NEAR) -> list[tuple[int, int, int]]:
    """All pairs of rows of prints (M, bits) that differ in at most `most` bits: (row, later row, bits that differ).

    Sorted by bits. 10,000 pictures, 50 million pairs, take a second. Raises ValueError for a negative `most`.
    """
    found = []
    for start, apart in _apart(_words(prints), most):
        rows, others = np.nonzero(np.triu(apart <= most, 1))
        found += zip((start + rows).tolist(), (start + others).tolist(), apart[rows, others].tolist(), strict=True)
    return sorted(found, key=lambda pair: (pair[2], pair[0], pair[1]))


def _words(prints: np.ndarray) -> np.ndarray:
    """bool (M, bits) -> uint64 (M, words), padded with zeros."""
    packed = np.packbits(prints, axis=1)
    return np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)


def _apart(words: np.ndarray, most: int):
    """In how many bits rows differ from the rows from themselves on, block by block: first row, uint16 (rows, others)."""
    if most < 0:
        raise ValueError(f"most={most!r} must be a number of bits, 0 or more")
    for start in range(0, len(words), _BLOCK):
        block, rest = words[start : start + _BLOCK], words[start:]
        apart = np.zeros((len(block), len(rest)), np.uint16)
        for column in range(words.shape[1]):
            apart += np.bitwise_count(block[:, None, column] ^ rest[None, :, column])
        yield start, apart


def near_groups(pictures, most: int = NEAR) -> list[list[int]]:
    """The rows of `imagecache.Pictures` in groups: who is near is in one group, directly or through others. Each row once,
    in order; a picture without a twin is a group of its own, and so is one that shows next to nothing (a fingerprint of
    a black picture is like many others), unless another is equal. Raises as `near_pairs` does.

    No pair is kept, so that even 10,000 pictures of the same thing, 50 million near pairs, take seconds and little memory.
    """
    usable = [row for row, file in enumerate(pictures.files) if file not in pictures.bad]
    empty, equal = flat(pictures.images), {}
    for row in usable:
        if empty[row]:
            equal.setdefault(pictures.pixels[row], []).append(row)
    rows = [row for row in usable if not empty[row]]
    groups = [[rows[place] for place in group] for group in groups_of(fingerprints(pictures.images, rows), most)]
    return sorted([*groups, *equal.values()])


def flat(images: torch.Tensor) -> torch.Tensor:
    """Which of the uint8 images (M, 3, S, S) show next to nothing, as all their pixels are nearly the same: bool (M,)."""
    parts = [part.flatten(1) for part in images.split(500)]
    return torch.cat([part.amax(1).int() - part.amin(1).int() < _FLAT for part in parts] or [torch.zeros(0, dtype=torch.bool)])


def groups_of(prints: np.ndarray, most: int = NEAR) -> list[list[int]]:
    """Rows of prints (M, bits) in groups, as `near_groups` says."""
    words, kind = np.unique(_words(prints), axis=0, return_inverse=True)  # equal fingerprints are compared once
    label = np.arange(len(words))
    for start, apart in _apart(words, most):
        mine, theirs = label[start : start + len(apart)], label[start:]
        rows, others = np.nonzero((apart <= most) & (mine[:, None] != theirs))  # those that are together already are not new
        links = coo_array((np.ones(len(rows), bool), (mine[rows], theirs[others])), (len(words), len(words)))
        label = connected_components(links, directed=False)[1][label]
    groups = {}
    for row, its in enumerate(label[kind.ravel()].tolist()):
        groups.setdefault(its, []).append(row)
    return list(groups.values())
