"""What hostile files try."""

from pathlib import Path


class Malicious:
    """Unpickled, it would write a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)
