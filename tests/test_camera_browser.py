"""Lab 3's camera in a real JupyterLab: Chromium films a film of the course's own drawings, so the right answers are known.

The film shows a hamburger, a banana and an empty table, scene by scene. Strips beside the central square, which no picture
contains, tell this test which scene is on.
"""

import json

import nbformat
import numpy as np
import pytest

from helpers.lessons.your_own_images.presses import draw_press

browser = pytest.importorskip("browser", reason="the browser tests need Playwright: pip install playwright")
pytest.importorskip("jupyterlab", reason="the browser tests need JupyterLab: pip install jupyterlab")
pytestmark = pytest.mark.skipif(browser.why_not() is not None, reason=str(browser.why_not()))

CLASSES, SCENES, FRAMES, RATE = ("hamburger", "banana", "nothing"), 4, 15, 10  # the last scene of each is not recorded
WIDE, HIGH = 320, 240
CELLS = {
    "camera": 'import helpers as h\ncamera = h.camera(["hamburger", "banana", "nothing"])',
    "train": "best = h.fit(h.FEATURE_EXTRACTION, h.open_task(camera.folder, per_class=None, size=128))",
    "live": "camera.live(best.classifier)",
    "said": "print(repr(camera), camera.trouble, camera.missing)",
}
# Which scene is on: the brightness of the left strip, in steps.
SCENE = """() => {
  const video = [...document.querySelectorAll('.course-camera video')].at(-1), canvas = document.createElement('canvas');
  if (!video || !video.videoWidth) return -1;
  canvas.width = 32; canvas.height = 24; const pen = canvas.getContext('2d'); pen.drawImage(video, 0, 0, 32, 24);
  return Math.round((pen.getImageData(1, 12, 1, 1).data[1] - 20) / 18); }"""
# Holds the button of the class that is on, a second a scene, as a person's finger does: `record(scenes)`, then `left` is empty.
RECORD = f"""scenes => {{ window.left = new Set(scenes); let last = null, held = null;
  const point = (kind, button) => button.dispatchEvent(new PointerEvent(kind, {{bubbles: true, button: 0}}));
  const watch = setInterval(() => {{
    const now = ({SCENE})();
    if (!held && now !== last && last !== null && window.left.has(now)) {{
      held = document.querySelectorAll('.course-camera button[aria-label^="Hold"]')[now % 3]; point('pointerdown', held);
      setTimeout(() => {{ point('pointerup', held); held = null; window.left.delete(now); }}, 1000); }}
    last = now; if (!window.left.size) clearInterval(watch); }}, 30); }}"""
WATCH = f"""() => {{ window.seen = []; window.watch = setInterval(() => window.seen.push([({SCENE})(),
  [...document.querySelectorAll('.course-camera .answer')].at(-1).textContent]), 50); }}"""


def scene(number):
    """(class, its scene) of a number in the film."""
    return CLASSES[number % len(CLASSES)], number // len(CLASSES)


def film(path):
    """Write the film as YUV4MPEG2, which needs no codec."""
    with open(path, "wb") as out:
        out.write(f"YUV4MPEG2 W{WIDE} H{HIGH} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(SCENES * len(CLASSES)):
            kind, which = scene(number)
            for shot in draw_press(kind, 50 + which, FRAMES):
                frame = np.full((HIGH, WIDE, 3), 20 + 18 * number, np.uint8)
                frame[:, (WIDE - HIGH) // 2 : (WIDE + HIGH) // 2] = np.asarray(shot.resize((HIGH, HIGH)))
                red, green, blue = np.moveaxis(frame.astype(np.float32), 2, 0)
                bright = 0.299 * red + 0.587 * green + 0.114 * blue
                planes = 0.859 * bright + 16, 0.495 * (blue - bright) + 128, 0.626 * (red - bright) + 128
                halves = [plane.reshape(HIGH // 2, 2, WIDE // 2, 2).mean((1, 3)) for plane in planes[1:]]
                out.write(b"FRAME\n" + b"".join(plane.clip(0, 255).astype(np.uint8).tobytes() for plane in (planes[0], *halves)))
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jupyterlab")
    with browser.jupyterlab(folder) as address:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code, id=id) for id, code in CELLS.items()])
        notebook.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
        nbformat.write(notebook, folder / "root/camera.ipynb")
        yield folder / "root", address


def opened(chromium, address):
    lab = browser.Lab(chromium, address, height=720)
    lab.open("camera.ipynb")
    lab.run_only("camera")
    lab.cell("camera").get_by_role("button", name="Start the camera").wait_for()
    return lab


def press_by_mouse_and_by_keyboard_and_remove_it(lab, hold):
    cell, page = lab.cell("camera"), lab.page
    for down, up in ((page.mouse.down, page.mouse.up), (lambda: page.keyboard.down(" "), lambda: page.keyboard.up(" "))):
        hold["banana"].hover()
        hold["banana"].focus()
        down()
        lab.until(lambda: hold["banana"].get_attribute("aria-pressed") == "true")
        page.wait_for_timeout(500)
        up()
        lab.until(lambda: hold["banana"].get_attribute("aria-pressed") == "false")
        cell.get_by_text("in 1 press").wait_for()
        page.wait_for_timeout(300)  # the last pictures arrive
        cell.get_by_role("button", name="Remove the last press").click()
        cell.get_by_text("Removed the last press").wait_for()
        lab.until(lambda: cell.inner_text().count("0 pictures in 0 presses") == len(CLASSES))


def test_camera_records_a_film_a_network_learns_from_it_and_names_what_it_sees_live(server, tmp_path):
    root, address = server
    reel = film(tmp_path / "film.y4m")
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={reel}")
    with browser.chromium(*flags) as chromium:
        lab = opened(chromium, address)
        cell, page = lab.cell("camera"), lab.page
        hold = {name: cell.get_by_role("button", name=f"Hold to record {name}") for name in CLASSES}
        assert all(button.is_disabled() for button in hold.values()), "nothing to record before the camera runs"
        cell.get_by_role("button", name="Start the camera").click()
        lab.until(lambda: all(button.is_enabled() for button in hold.values()))
        press_by_mouse_and_by_keyboard_and_remove_it(lab, hold)
        page.evaluate(RECORD, list(range((SCENES - 1) * len(CLASSES))))
        lab.until(lambda: page.evaluate("window.left.size") <= 3, seconds=60)
        lab.picture("camera-recording")
        lab.until(lambda: not page.evaluate("window.left.size"), seconds=60)
        found = {name: len(list((root / "pictures" / name).glob("press*.jpg"))) for name in CLASSES}
        assert all(count >= 20 for count in found.values()), found
        lab.until(lambda: cell.inner_text().count("in 3 presses") == len(CLASSES))
        lab.picture("camera-recorded")

        lab.run_only("train", "live")
        live = lab.cell("live")
        live.get_by_role("button", name="Start the camera").click()
        live.get_by_role("button", name="Live").click()
        lab.until(lambda: live.locator("meter").count() == len(CLASSES))
        page.evaluate(WATCH)
        page.wait_for_timeout(1000 * SCENES * len(CLASSES) * FRAMES / RATE)
        seen = page.evaluate("window.seen")
        lab.picture("camera-live")
        speed = float(live.get_by_text("answers a second").inner_text().split()[0])
        settled = [(now, said) for (before, _), (now, said) in zip(seen, seen[12:], strict=False) if before == now >= 0]
        right = [scene(now)[0] == said for now, said in settled]
        fresh = [scene(now)[0] == said for now, said in settled if scene(now)[1] == SCENES - 1]
        print(json.dumps({"pictures": found, "a second": speed, "right": np.mean(right), "in new scenes": np.mean(fresh)}))
        assert len(fresh) > 30 and np.mean(right) > 0.9 and np.mean(fresh) > 0.8
        assert speed >= 2  # 4 and more where nothing else runs
        assert not lab.errors and not lab.outside


@pytest.mark.parametrize("flags, said", [
    ((), "There is no camera on this computer"),
    (("--use-fake-device-for-media-stream",), "permission was denied"),
], ids=["no camera", "no permission"])  # fmt: skip
def test_without_a_camera_the_reason_is_said_in_words_and_files_are_taken_instead(server, tmp_path, flags, said):
    root, address = server
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for shot, file in zip(draw_press("banana", 3, 2), files, strict=True):
        shot.resize((300, 200)).save(file)
    letter = tmp_path / "letter.jpg"
    letter.write_text("This is no picture.")
    with browser.chromium(*flags) as chromium:
        lab = opened(chromium, address)
        cell, before = lab.cell("camera"), len(list((root / "pictures/banana").glob("*.jpg")))
        cell.get_by_role("button", name="Start the camera").click()
        alert = cell.get_by_role("alert")
        alert.get_by_text(said).wait_for()
        assert "choose picture files" in alert.inner_text()
        cell.get_by_label("Choose picture files of banana").set_input_files([*files, letter])
        lab.until(lambda: len(list((root / "pictures/banana").glob("*.jpg"))) == before + 2)
        alert.get_by_text("letter.jpg was left out: this browser cannot read it as a picture").wait_for()
        lab.picture(f"camera-{said.split()[0]}", cell)
        lab.run_only("said")
        lab.cell("said").get_by_text(said).wait_for()
        lab.page.evaluate("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")  # as on http:// elsewhere
        cell.get_by_role("button", name="Start the camera").click()
        alert.get_by_text("not a secure one").wait_for()
        assert not lab.errors and not lab.outside
