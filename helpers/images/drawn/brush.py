"""Drawing with tensors: random numbers that depend on the picture alone, soft-edged shapes, noise, a canvas.

Everything works on N pictures at once. Positions run from -1 (left, top) to 1 (right, bottom) whatever the size in
pixels, so that a picture is the same picture at 64 and at 256 px.
"""

import math
from functools import lru_cache

import torch
from torch.nn import functional as F

_GOLDEN = -7046029254386353131  # 2**64 / golden ratio, as a signed 64-bit integer
CHUNK = 32  # pictures painted at once: fits the cache of one core
_MIX = (-4658895280553007687, -7723592293110705685)


def mix(z: torch.Tensor) -> torch.Tensor:
    """Scramble 64-bit integers; the finaliser of SplitMix64 (Steele et al., 2014). Same shape, dtype int64."""
    z = (z ^ ((z >> 30) & 0x3FFFFFFFF)) * _MIX[0]
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * _MIX[1]
    return z ^ ((z >> 31) & 0x1FFFFFFFF)


class Rng:
    """Random numbers for N pictures, each computed from its picture's own key and the count of numbers so far.

    A picture's numbers therefore do not depend on the pictures drawn beside it, nor on the batch's size.
    """

    def __init__(self, keys: torch.Tensor):
        self.keys, self.used, self._ready = keys, 0, torch.empty(len(keys), 0)

    def uniform(self, low=0.0, high=1.0, shape=(1, 1)) -> torch.Tensor:
        """Floats in [low, high), shape (N, *shape); the default (N, 1, 1) broadcasts over a picture's pixels."""
        start, self.used = self.used, self.used + math.prod(shape)
        ready = self._ready.shape[1]
        if self.used > ready:  # many at a time, so that most calls cost one slice
            counters = torch.arange(ready, max(self.used, ready + 256)) * _GOLDEN
            bits = mix(mix(self.keys)[:, None] + counters)
            self._ready = torch.cat([self._ready, ((bits >> 40) & 0xFFFFFF).float() / 2**24], dim=1)
        unit = self._ready[:, start : self.used].reshape(len(self.keys), *shape)
        return unit if (low, high) == (0.0, 1.0) else low + (high - low) * unit

    def normal(self, scale=1.0, shape=(1, 1)) -> torch.Tensor:
        """Normal deviates (N, *shape) by Box and Muller, cut at 2.5 standard deviations."""
        radius = (-2 * torch.log(1 - self.uniform(shape=shape))).sqrt()
        return scale * (radius * torch.cos(2 * math.pi * self.uniform(shape=shape))).clamp(-2.5, 2.5)

    def chance(self, p) -> torch.Tensor:
        """1.0 with probability p, else 0.0; shape (N, 1, 1)."""
        return (self.uniform() < p).float()


def hsv(hue, saturation, value) -> torch.Tensor:
    """Colour from hue (1.0 is a full turn), saturation and value, each (N, 1, 1): (N, 3, 1, 1) in 0..1."""
    k = (torch.tensor([5.0, 3.0, 1.0]).view(3, 1, 1) + hue[:, None] * 6) % 6
    ramp = torch.minimum(k, 4 - k).clamp(0, 1)
    return value[:, None] * (1 - saturation[:, None] * ramp)


def blend(a, b, amount) -> torch.Tensor:
    """From a to b as amount (N, H, W) goes from 0 to 1; a and b are colours (N, 3, 1 or H, 1 or W)."""
    return a + (b - a) * amount[:, None]


def lattice_noise(rng: Rng, cells: int, size: int) -> torch.Tensor:
    """Smooth noise (N, size, size) about 0, with `cells` waves across the picture."""
    knots = rng.uniform(-1.0, 1.0, shape=(cells + 1, cells + 1))
    curve = _bicubic(cells + 1, size)
    return curve @ knots @ curve.T


@lru_cache
def _bicubic(knots: int, size: int) -> torch.Tensor:
    """The matrix (size, knots) that interpolates a line of knots."""
    rows = torch.eye(knots)[None, None]
    return F.interpolate(rows, size=(knots, size), mode="bicubic", align_corners=True)[0, 0].T.contiguous()


def fractal_noise(rng: Rng, size: int, octaves=(2, 5, 11, 23), roughness=0.6) -> torch.Tensor:
    """Noise (N, size, size) with finer octaves ever weaker, as in clouds, leaves and stone; about -1 to 1."""
    total, weight = 0, 1.0
    for cells in octaves:
        total, weight = total + weight * lattice_noise(rng, cells, size), weight * roughness
    return total


class Canvas:
    """N pictures in the making: `image` (N, 3, size, size) in 0..1, painted back to front; size: 16 to 1024 pixels."""

    def __init__(self, count: int, size: int):
        if not 16 <= size <= 1024:
            raise ValueError(f"size is {size} px; choose 16 to 1024")
        self.size = size
        line = (torch.arange(size) + 0.5) / size * 2 - 1
        self.x = line.view(1, 1, size).expand(1, size, size)
        self.y = line.view(1, size, 1).expand(1, size, size)
        self.image = torch.zeros(count, 3, size, size)

    def paint(self, mask, colour) -> None:
        """Lay colour (N, 3, 1 or size, 1 or size) over the pictures where mask (N, size, size) is above 0."""
        self.image.lerp_(colour.expand_as(self.image), mask[:, None].expand_as(self.image))

    def finished(self) -> torch.Tensor:
        """The pictures as uint8 (N, 3, size, size); `image` is of no use afterwards."""
        return self.image.clamp_(0, 1).mul_(255).round_().to(torch.uint8)

    def frame(self, cx=0.0, cy=0.0, angle=0.0, scale=1.0, squash=1.0) -> "Frame":
        """Coordinates of an object at (cx, cy), turned by `angle` (radians), `scale` large, squashed along its v."""
        return Frame(self.x, self.y, 2 / self.size, self.size / 64).inner(cx, cy, angle, scale, squash)


class Frame:
    """An object's own coordinates u, v (N, H, W); `edge` is the width of one pixel in them.

    `fineness` is the number of pixels where a 64 px picture has one: blur must not depend on the size in pixels.
    """

    def __init__(self, u, v, edge, fineness=1.0):
        self.u, self.v, self.edge, self.fineness, self._polar = u, v, edge, fineness, None

    def inner(self, cx=0.0, cy=0.0, angle=0.0, scale=1.0, squash=1.0) -> "Frame":
        """The frame of a part at (cx, cy) of this object."""
        du = self.u if isinstance(cx, float) and cx == 0.0 else self.u - cx
        dv = self.v if isinstance(cy, float) and cy == 0.0 else self.v - cy
        edge = self.edge / scale
        if isinstance(angle, float) and angle == 0.0:
            if isinstance(scale, float) and scale == squash == 1.0:
                return Frame(du, dv, edge, self.fineness)
            return Frame(du * (1 / scale), dv * (1 / (scale * squash)), edge, self.fineness)
        angle = torch.as_tensor(angle)
        cos, sin = torch.cos(angle), torch.sin(angle)
        across = 1 / (scale * squash)
        u, v = du * (cos / scale) + dv * (sin / scale), dv * (cos * across) - du * (sin * across)
        return Frame(u, v, edge, self.fineness)

    def polar(self):
        """Radius and angle (N, H, W); angle in radians, -pi to pi."""
        if self._polar is None:
            self._polar = (self.u * self.u + self.v * self.v).sqrt_(), torch.atan2(self.v, self.u)
        return self._polar

    def inside(self, distance, softness=1.0) -> torch.Tensor:
        """Mask from a signed distance (negative inside) with one pixel of soft edge.

        softness above 1 blurs: it is the edge's width in pixels of a 64 px picture, whatever the size is.
        """
        width = 1 + (softness - 1) * self.fineness
        return (distance * (-1 / (self.edge * width))).add_(0.5).clamp_(0, 1)

    def ellipse(self, cx=0.0, cy=0.0, a=1.0, b=1.0, angle=0.0, softness=1.0) -> torch.Tensor:
        """Mask of an ellipse with half axes a (along) and b (across)."""
        part = self.inner(cx, cy, angle)
        small = torch.minimum(torch.as_tensor(a), torch.as_tensor(b))
        u, v = part.u * (1 / a), part.v * (1 / b)
        return self.inside((u.mul_(u) + v.mul_(v)).sqrt_().sub_(1) * small, softness)

    def bar(self, x0, y0, x1, y1, width, taper=1.0) -> torch.Tensor:
        """Mask of a line from (x0, y0) to (x1, y1), `width` thick at the start and taper * width at the end."""
        dx, dy = x1 - x0, y1 - y0
        u, v, square = self.u - x0, self.v - y0, dx * dx + dy * dy
        t = (u * (dx / square)).add_(v * (dy / square)).clamp_(0, 1)
        u, v = (t * dx).sub_(u), (t * dy).sub_(v)
        away = u.mul_(u).add_(v.mul_(v)).sqrt_()
        if isinstance(taper, float) and taper == 1.0:
            return self.inside(away - width / 2)
        return self.inside(away - width / 2 * (1 + (taper - 1) * t))
