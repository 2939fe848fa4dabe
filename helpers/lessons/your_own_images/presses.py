"""Pictures as a camera records them, press by press: drawn ones, for a machine without a camera and for tests of one with it."""

import random
from pathlib import Path

import torch
from PIL import Image, ImageEnhance

from helpers.images.decoding import read_image
from helpers.images.drawn.hotdogs import draw_food
from helpers.lessons.your_own_images.examples import content
from helpers.notebook.camera import Camera, frame_file, write_frame

CLASSES = ("hot dog", "sausage", "nothing")
_DRAWN, _SIDE = 288, 224  # pixels a side of a scene, and of the camera's view that moves over it


def draw_press(kind: str, scene: int, frames: int = 12) -> list[Image.Image]:
    """Frames of one press: a drawn scene, 224 x 224, over which a hand moves the camera a little."""
    rng = random.Random(f"{kind} {scene}")
    (square,) = draw_food(kind, torch.tensor([50_000 + scene]), size=_DRAWN)
    picture, room = Image.fromarray(square.permute(1, 2, 0).numpy()), _DRAWN - _SIDE
    left, top, light, shots = rng.uniform(0, room), rng.uniform(0, room), rng.uniform(0.9, 1.1), []
    for _ in range(frames):
        left, top = (min(room, max(0, at + rng.uniform(-9, 9))) for at in (left, top))
        view = picture.crop((round(left), round(top), round(left) + _SIDE, round(top) + _SIDE))
        shots.append(ImageEnhance.Brightness(view).enhance(light * rng.uniform(0.97, 1.03)))
    return shots


def write_presses(folder: str | Path = "drawn_presses", classes=CLASSES, presses: int = 8) -> Path:
    """Write drawn pictures as the camera would, hot dog/press01-001.jpg, ..., unless they are there; returns the folder."""
    for kind in classes:
        place = Path(folder) / kind
        place.mkdir(parents=True, exist_ok=True)
        for press in range(1, presses + 1):
            for number, shot in enumerate(draw_press(kind, press), 1):
                file = frame_file(place, press, number)
                if not file.exists():
                    write_frame(file, content(shot, quality=90))
    return Path(folder)


def fresh_presses(size: int = 128, classes=CLASSES, presses: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of other presses than those of `write_presses`: uint8 (N, 3, size, size) and labels, by name as in a folder."""
    shots = [(shot, label) for label, kind in enumerate(sorted(classes)) for press in range(presses)
             for shot in draw_press(kind, 1000 + press, 3)]  # fmt: skip
    return torch.stack([read_image(shot, size) for shot, _ in shots]), torch.tensor([label for _, label in shots])


def recorded_or_drawn(camera: Camera) -> Path:
    """The camera's folder, if it has enough pictures; else says what is missing, and returns a folder of drawn ones."""
    if not camera.missing:
        return camera.folder
    why = f"{camera.trouble} " if camera.trouble else ""
    print(f"{why}{camera.missing}\nUntil then the lab goes on with drawn pictures. Record, and run this cell again.")
    return write_presses()
