"""Labelled images that several splits share: training, validation and test are rows of one tensor."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch

ON_A_CPU = 25 * 224 * 224  # pixels that go through a network together: 100 photographs took a fifth longer, and twice the memory
ON_A_GPU = 64 * 224 * 224  # more of them, within a network of many activations (VGG), take gigabytes


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled images: rows of a tensor that several splits share.

    images: uint8 (M, 3, S, S), perhaps a memory map. index: int64 (N,), the rows that are this split's.
    labels: int64 (N,). files: N paths ("" for rendered images).
    targets: {name: float (N,)}, what the renderer knows besides the label.
    credits: N lines that name photographer and licence, "" where none is asked for.
    `split[i]` copies: uint8 (B, 3, S, S) and int64 (B,) for a slice or a tensor of positions, one image for a
    number, so it is also a dataset for torch's DataLoader.
    """

    images: torch.Tensor
    index: torch.Tensor
    labels: torch.Tensor
    files: list[str]
    targets: dict[str, torch.Tensor] = field(default_factory=dict)
    credits: list[str] = field(default_factory=list)

    def __post_init__(self):
        if not self.credits:
            object.__setattr__(self, "credits", [""] * len(self.index))
        elif len(self.credits) != len(self.index):
            raise ValueError(f"{len(self.credits)} credits for {len(self.index)} images: give one an image")

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i) -> tuple[torch.Tensor, torch.Tensor]:
        rows = self.index[i]
        pixels = self.images.index_select(0, rows.reshape(-1))
        return pixels.reshape(*rows.shape, *self.images.shape[1:]), self.labels[i].clone()

    @property
    def pixels(self) -> torch.Tensor:
        """All images of this split, a copy: uint8 (N, 3, S, S). `batches` gives them without a copy of all at once."""
        return self[:][0]

    def batches(self, size: int = 100) -> Iterator[torch.Tensor]:
        """The images in their order, copied `size` at a time: uint8 (size, 3, S, S), the last of them shorter."""
        for rows in self.index.split(size):
            yield self.images.index_select(0, rows)

    def select(self, positions: torch.Tensor) -> "Split":
        """The split of these positions (int64 (K,)); the images stay shared."""
        chosen = positions.tolist()
        return replace(
            self,
            index=self.index[positions],
            labels=self.labels[positions],
            files=[self.files[i] for i in chosen],
            targets={name: values[positions] for name, values in self.targets.items()},
            credits=[self.credits[i] for i in chosen],
        )

    def __repr__(self) -> str:
        return f"Split({len(self)} images, {self.images.shape[-1]} px)"


def at_a_time(images: torch.Tensor | Split, most: int, where: torch.device) -> int:
    """How many of the images (or feature maps) go through a network together: `most`, fewer of large ones, evenly."""
    count, shape = len(images), (images.images if isinstance(images, Split) else images).shape[1:]
    if len(shape) == 3 and count:
        most = max(1, min(most, (ON_A_CPU if where.type == "cpu" else ON_A_GPU) // (shape[1] * shape[2])))
        most = -(-count // -(-count // most))  # no small rest: convolutions may round otherwise in one
    return most


def batches_of(images: torch.Tensor | Split, size: int) -> Iterator[torch.Tensor]:
    """Images (N, 3, S, S), or those of a split, `size` at a time; of a split, only one batch is ever copied."""
    return images.batches(size) if isinstance(images, Split) else iter(images.split(size))
