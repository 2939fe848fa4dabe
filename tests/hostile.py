"""What hostile files try."""

import pickle
from pathlib import Path

import torch


class Malicious:
    """Unpickled, it would write a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


FORMS = [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))]  # the ways to put it into a file
