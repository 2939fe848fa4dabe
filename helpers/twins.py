"""Near-duplicates: pictures that are the same picture again, smaller, compressed once more, or taken a moment later.

By perceptual hash: a fingerprint of 256 bits that survives such changes, and the number of bits in which two differ.
"""

import imagehash
import numpy as np
import torch
from PIL import Image

SIDE = 16  # a fingerprint has SIDE * SIDE bits
NEAR = 48  # of 256 bits; pictures of different things differ in half of them, give or take
_BLOCK = 256  # rows compared at once


def fingerprint(picture: Image.Image) -> np.ndarray:
    """The difference hash of a picture: bool (16, 16), whether each place is darker than its neighbour on the right.

    Source: imagehash.dhash (J. Buchner), after N. Krawetz, "Kind of Like That", 2013.
    """
    return imagehash.dhash(picture, SIDE).hash


def fingerprints(images: torch.Tensor) -> np.ndarray:
    """The fingerprints of uint8 images (M, 3, S, S): bool (M, 256)."""
    prints = [fingerprint(Image.fromarray(image.permute(1, 2, 0).numpy())).ravel() for image in images]
    return np.array(prints, bool).reshape(len(images), SIDE * SIDE)


def near_pairs(prints: np.ndarray, most: int = NEAR) -> list[tuple[int, int, int]]:
    """All pairs of rows of prints (M, bits) that differ in at most `most` bits: (row, later row, bits that differ).

    Sorted by bits. 10,000 pictures, 50 million pairs, take seconds. Raises ValueError for a negative `most`.
    """
    if most < 0:
        raise ValueError(f"most={most!r} must be a number of bits, 0 or more")
    packed = np.packbits(prints, axis=1)
    words = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)
    found = []
    for start in range(0, len(words), _BLOCK):
        block, rest = words[start : start + _BLOCK], words[start:]
        apart = np.zeros((len(block), len(rest)), np.uint16)
        for column in range(words.shape[1]):
            apart += np.bitwise_count(block[:, None, column] ^ rest[None, :, column])
        for i, j in np.argwhere(apart <= most):
            if i < j:
                found.append((start + int(i), start + int(j), int(apart[i, j])))
    return sorted(found, key=lambda pair: (pair[2], pair[0], pair[1]))


def groups_of(pairs, count: int) -> list[list[int]]:
    """Rows 0 to count - 1 in groups: who is in a pair is in one group, directly or through others. In order, each once."""
    leader = list(range(count))

    def first(row):
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    for a, b, *_ in pairs:
        one, other = sorted((first(a), first(b)))
        leader[other] = one
    groups = {}
    for row in range(count):
        groups.setdefault(first(row), []).append(row)
    return list(groups.values())


def near_groups(pictures, most: int = NEAR) -> list[list[int]]:
    """The rows of `imagecache.Pictures` in groups of near-duplicates; a picture without a twin is a group of its own."""
    usable = [row for row, file in enumerate(pictures.files) if file not in pictures.bad]
    pairs = near_pairs(fingerprints(pictures.images[usable]), most)
    return [[usable[place] for place in group] for group in groups_of(pairs, len(usable))]
