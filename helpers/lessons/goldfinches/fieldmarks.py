"""Goldfinches with one field mark of another species, and where on a picture each part of the bird is.

How a network classifies a bird that differs in a single mark shows what that mark is worth to it. Only drawings allow this:
nobody has a photograph of the same bird with another back.
"""

import torch

from helpers.images.drawn.finches import GOLDFINCHES
from helpers.images.drawn.garden import class_names, render

MARKS = ("body", "back", "head", "cap", "face", "breast", "wing_bar", "bar_width", "bill")
_DYE = (0.85, 1.0, 1.0)  # magenta: no bird has it
_PARTS = {
    "head": [{"head": _DYE, "bill": _DYE}, {"cap": None}, {"face": None}, {"face": _DYE}],
    "body": [{"body": _DYE, "back": _DYE}, {"breast": _DYE}],
    "wing": [{"wing_bar": _DYE, "bar_width": 2.0}],
}


def repaint(species: str, numbers, marks: dict[str, str] | None = None, size: int = 64) -> torch.Tensor:
    """Test pictures of a goldfinch species as `render` paints them, except for some marks, taken from other species.

    marks: {mark: species}, such as {"back": "Lesser"}; MARKS lists them. Everything else in the picture, from pose to
    light, stays the same. Returns uint8 (N, 3, size, size).
    Raises ValueError for an unknown species or mark, and for a mark that cannot be exchanged: a breast that only one of
    the two has, or what belongs to the European's painted head.
    """
    kind = _species(species)
    for mark, other in (marks or {}).items():
        if mark not in MARKS:
            raise ValueError(f"unknown mark {mark!r}; there are {', '.join(MARKS)}")
        if not _exchangeable(kind, _species(other), mark):
            raise ValueError(f"the {mark} of {species} and {other} cannot be exchanged; see marks_between")
        kind = kind._replace(**{mark: getattr(_species(other), mark)})
    return _painted(species, kind, numbers, size)


def marks_between(species: str, other: str) -> list[str]:
    """The marks in which two species differ and that `repaint` can give to the one from the other."""
    kind, wanted = _species(species), _species(other)
    differ = [mark for mark in MARKS if getattr(kind, mark) != getattr(wanted, mark)]
    return [mark for mark in differ if _exchangeable(kind, wanted, mark)]


def bird_parts(species: str, numbers, size: int = 64) -> dict[str, torch.Tensor]:
    """Where head, body and wing are visible in each test picture, and where none of them is: {part: bool (N, size, size)}.

    A part is where the picture changes when that part is dyed, which leaves out leaves in front of the bird.
    """
    kind = _species(species)
    before = _painted(species, kind, numbers, size).int()
    found, taken = {}, torch.zeros(len(before), size, size, dtype=torch.bool)
    for part in ("wing", "head", "body"):  # where two overlap, the one painted last is visible
        seen = torch.zeros_like(taken)
        for dyes in _PARTS[part]:
            dyes = {mark: dye for mark, dye in dyes.items() if _may(kind, mark, dye)}
            if dyes:
                dyed = _painted(species, kind._replace(**dyes), numbers, size).int()
                seen |= (dyed - before).abs().amax(1) > 12
        found[part] = seen & ~taken
        taken |= seen
    return {"head": found["head"], "body": found["body"], "wing": found["wing"], "elsewhere": ~taken}


def _exchangeable(kind, wanted, mark) -> bool:
    """Whether the mark can be exchanged without changing the random numbers for what is painted after it."""
    if mark == "breast":
        return (kind.breast is None) == (wanted.breast is None)
    return mark not in ("cap", "face") or not (kind.cheek or wanted.cheek)


def _may(kind, mark, dye) -> bool:
    """Whether a mark can be changed so that nothing else in the picture changes."""
    if mark in ("body", "back", "head", "bill", "wing_bar", "bar_width"):
        return True
    if mark == "cap":
        return kind.cap is not None and not kind.cheek
    if mark == "face":
        return kind.face is not None and bool(kind.cheek) == (dye is not None)
    return kind.breast is not None


def _species(name: str):
    if name not in GOLDFINCHES:
        raise ValueError(f"unknown species {name!r}; there are {', '.join(sorted(GOLDFINCHES))}")
    return GOLDFINCHES[name]


def _painted(species, kind, numbers, size) -> torch.Tensor:
    numbers = torch.as_tensor(numbers)
    labels = torch.full_like(numbers, class_names("goldfinches").index(species))
    return render("goldfinches", labels, numbers, split="test", size=size, plumage=kind)[0]
