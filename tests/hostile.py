"""What hostile files try, and the proof that nothing came of it."""

from pathlib import Path

import pytest

from helpers.images.unpacking import unpack


class Malicious:
    """Unpickled, it would write a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def refused(path, words, **settings):
    """An archive is refused with these words, which name it, and leaves nothing behind."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(ValueError, match=words) as caught:
        unpack(path, path.parent / "out", **settings)
    assert str(path) in str(caught.value)
    assert sorted(path.parent.rglob("*")) == before, "something was left behind"
