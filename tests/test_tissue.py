"""The tissue: kinds differ in how their cells lie, how dense, and in their shape; the stains say nothing."""

import pytest
import torch
from torch.nn import functional as F

from helpers.images.drawn import tissue
from helpers.images.drawn.brush import Canvas, Rng, mix
from helpers.images.drawn.garden import render_split
from helpers.images.drawn.tissue import TISSUES


def nuclei(name):
    """Where the nuclei of each of 40 pictures lie, in radii of a nucleus: (N, K, 2), those well inside: bool (N, K)."""
    rng = Rng(mix(torch.arange(40) + 1))
    radius = rng.uniform(tissue.SMALLEST, tissue.LARGEST)
    kind = TISSUES[name]
    x, y = {"grid": tissue._grid, "groups": tissue._groups, "rings": tissue._rings}[kind.layout](kind, rng, radius)
    if kind.layout == "rings":
        x, y = x
    places = torch.stack([x, y], dim=-1)[:, 0]
    return places / radius, (places.abs() < 0.7).all(-1)


def nearest(name):
    """Distances from the nuclei to their nearest neighbours, in radii of a nucleus."""
    places, inside = nuclei(name)
    apart = torch.cdist(places, places) + 99 * torch.eye(places.shape[1])
    return apart.amin(2)[inside]


def density(name):
    return float(nuclei(name)[1].float().sum(1).mean())


def test_arrangement_not_density_tells_regular_from_scattered_tissue_and_density_crowded_from_clustered():
    even, strewn = nearest("regular"), nearest("scattered")
    assert even.std() < 0.2 < strewn.std(), "even distances, and uneven ones"
    assert density("regular") == pytest.approx(density("scattered"), rel=0.1), "but as many nuclei"
    assert density("crowded") > 1.7 * max(map(density, ("clustered", "regular", "scattered")))
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-5, 5, 15)] * 2, indexing="ij"), -1).view(1, -1, 2)
    holes = {name: torch.cdist(grid, nuclei(name)[0]).amin(2).amax(1).median() for name in ("clustered", "scattered")}
    assert holes["clustered"] > 1.2 * holes["scattered"], "large empty places between the clusters"


def test_glands_have_an_empty_middle_ringed_by_nuclei():
    rng = Rng(mix(torch.arange(30) + 1))
    radius = rng.uniform(tissue.SMALLEST, tissue.LARGEST)
    (x, y), (cx, cy, lumen) = tissue._rings(TISSUES["glandular"], rng, radius)
    own = torch.hypot(x.view(30, 4, 11) - cx.view(30, 4, 1), y.view(30, 4, 11) - cy.view(30, 4, 1))
    assert (own > lumen.view(30, 4, 1) * 1.2).all() and (own.std(2) < 0.1 * own.mean(2)).all()


def test_distance_to_the_nearest_nucleus_is_that_of_ellipses():
    canvas, rng = Canvas(3, 16), Rng(mix(torch.arange(3) + 1))
    x, y, lean = rng.uniform(-1, 1, (1, 7)), rng.uniform(-1, 1, (1, 7)), rng.uniform(0, 3, (1, 7))
    length, slender = rng.uniform(0.1, 0.3, (1, 7)), rng.uniform(1, 3, (1, 7))
    each = []
    for k in range(7):
        cx, cy, turn, long, times = (values[..., k : k + 1] for values in (x, y, lean, length, slender))
        part = canvas.frame(cx, cy, turn)
        each.append(torch.hypot(part.u / long, part.v * times / long))
    wanted = torch.stack(each).amin(0)
    assert torch.allclose(tissue._nearest(canvas, x, y, lean, length, slender), wanted, atol=2e-3)


def test_stains_say_nothing_about_the_kind():
    """From the mean and the spread of the three colours, a linear classifier hardly does better than chance (1 in 6)."""
    x, y, right = [], [], []
    for split, count in (("train", 60), ("test", 40)):
        images, labels, _, names = render_split("tissue", split, count, size=24)
        means = images.float().mean((2, 3)) / 255
        x.append(torch.cat([means, torch.ones(len(means), 1)], 1))
        y.append(labels)
    weight = torch.linalg.lstsq(x[0], F.one_hot(y[0], len(names)).float()).solution
    right = ((x[1] @ weight).argmax(1) == y[1]).float().mean()
    assert right < 2 / 6, f"{right:.1%}"
