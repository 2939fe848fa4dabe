"""Near-duplicates: pictures that are the same picture again, smaller, compressed once more, or taken a moment later.

By perceptual hash: a fingerprint of 256 bits that survives such changes, and the number of bits in which two differ.
"""

import imagehash
import numpy as np
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


def groups_of(prints: np.ndarray, most: int = NEAR) -> list[list[int]]:
    """Rows of fingerprints, bool (M, bits), in groups: rows that differ in at most `most` bits are in one group, directly or
    through others. Each row is in one group; groups and their rows are in order.

    No list of pairs is kept, so that even 10,000 pictures of the same thing take seconds and little memory.
    """
    packed = np.packbits(prints, axis=1)
    words = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)
    words, kind = np.unique(words, axis=0, return_inverse=True)  # equal fingerprints are compared once
    label = np.arange(len(words))
    for start in range(0, len(words), _BLOCK):
        block, rest = words[start : start + _BLOCK], words[start:]
        apart = np.bitwise_count(block[:, None] ^ rest[None]).sum(2, dtype=np.uint16)
        mine, theirs = label[start : start + len(block)], label[start:]
        rows, others = np.nonzero((apart <= most) & (mine[:, None] != theirs))  # those that are together already are not new
        links = coo_array((np.ones(len(rows), bool), (mine[rows], theirs[others])), (len(words), len(words)))
        label = connected_components(links, directed=False)[1][label]
    groups = {}
    for row, its in enumerate(label[kind.ravel()].tolist()):
        groups.setdefault(its, []).append(row)
    return list(groups.values())


def kept_together(pictures, together) -> list[list[int]]:
    """Rows of `imagecache.Pictures` that stay on one side: near-duplicates, for True; else those whose files, "class/name",
    have the same together(file). Raises ValueError for another `together`."""
    if together is True:
        return near_groups(pictures)
    if not callable(together):
        raise ValueError(f"together={together!r} must be True, False, or a function: file's name -> what it belongs to")
    groups = {}
    for row, file in enumerate(pictures.files):
        groups.setdefault(together(file), []).append(row)
    return list(groups.values())


def near_groups(pictures) -> list[list[int]]:
    """The usable rows of `imagecache.Pictures` in groups of near-duplicates, as `groups_of` forms them.

    A picture that shows next to nothing (a black one has a fingerprint like many others) is grouped only with equal ones.
    """
    usable = [row for row, file in enumerate(pictures.files) if file not in pictures.bad]
    rows, prints, equal = [], [], {}
    for row in usable:
        picture = pictures.images[row]
        if int(picture.max()) - int(picture.min()) < _FLAT:
            equal.setdefault(pictures.pixels[row], []).append(row)
        else:
            rows.append(row)
            prints.append(fingerprint(Image.fromarray(picture.permute(1, 2, 0).numpy())).ravel())
    found = groups_of(np.array(prints, bool).reshape(len(rows), SIDE * SIDE))
    return sorted([[rows[place] for place in group] for group in found] + list(equal.values()))
