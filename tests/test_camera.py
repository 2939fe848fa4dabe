"""Lab 3's camera without a browser: what the page sends becomes files; and the page that a classifier is served on."""

import io
import json
import re
import sys
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest
from PIL import Image
from test_widgets7 import KNOWN, made, unknown  # noqa: F401

import helpers as h
from helpers.lessons import your_own_images
from helpers.notebook import page
from helpers.notebook.camera import ENOUGH, LARGEST, Camera, folder_names
from helpers.training.classifier import Classifier


def picture(colour="red", kind="JPEG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(out, kind)
    return out.getvalue()


@pytest.fixture
def camera(tmp_path):
    one = Camera(["mug", "nothing"], tmp_path / "pictures")
    one.sent = []
    one.widget.send = one.sent.append
    return one


def record(camera, label, press, count=1, data=None):
    for _ in range(count):
        camera._heard(camera.widget, {"kind": "frame", "label": label, "press": press}, [memoryview(data or picture())])


def names(camera):
    return sorted(file.relative_to(camera.folder).as_posix() for file in camera.folder.rglob("*"))


def test_frames_become_files_numbered_by_press_and_nothing_is_ever_overwritten(camera):
    record(camera, 0, "a", 2)
    record(camera, 1, "b")
    record(camera, 0, "c")
    record(camera, 0, "a")  # arrives late
    assert names(camera) == ["mug", "mug/press01-001.jpg", "mug/press01-002.jpg", "mug/press01-003.jpg", "mug/press02-001.jpg",
                             "nothing", "nothing/press01-001.jpg"]  # fmt: skip
    assert camera.counts == {"mug": {1: 3, 2: 1}, "nothing": {1: 1}} and camera.widget.counts == [[4, 2], [1, 1]]
    again = Camera(camera.classes, camera.folder)  # the cell is run twice
    record(again, 0, "a", data=picture("blue"))
    assert again.counts["mug"] == {1: 3, 2: 1, 3: 1} and "press03" in names(again)[5]
    assert "mug: 5" in repr(again)


def test_last_press_can_be_removed_and_only_that(camera):
    record(camera, 0, "a", 2)
    record(camera, 1, "b", 3)
    assert camera.widget.undoable
    for _ in range(2):
        camera._heard(camera.widget, {"kind": "undo"}, [])
    assert camera.counts == {"mug": {1: 2}, "nothing": {}} and not camera.widget.undoable
    assert camera.widget.said == "Removed the last press, 3 pictures of nothing."


@pytest.mark.parametrize("label, data", [(2, None), (-1, None), ("../mug", None), (None, None), (0, b"<html>"),
                                         (0, b"\xff\xd8" + bytes(LARGEST))])  # fmt: skip
def test_what_is_no_picture_of_a_class_is_not_written(camera, label, data):
    record(camera, label, "a", data=data)
    assert not camera.folder.exists()


def test_names_of_classes_are_names_of_folders_or_are_refused_with_a_reason(capsys):
    assert folder_names(["a/b", " mug. ", 'what "is" it?']) == ["a-b", "mug", "what -is- it-"]
    assert "'a/b' is called 'a-b' here" in capsys.readouterr().out
    for classes, words in ((["mug", ""], "'' cannot be the name of a class"), (["mug", "../"], "cannot be the name"),
                           (["mug"], "nothing to tell apart"), (["mug", "Mug"], "'mug' and 'Mug' would share a folder"),
                           ("mug", "must be a list of names"), ([1, 2], "must be a list of names")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            h.camera(classes)


def test_what_is_missing_is_said_and_the_lab_goes_on_with_drawn_pictures(camera, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    record(camera, 0, "a", ENOUGH)
    record(camera, 1, "b", 3)
    camera._heard(camera.widget, {"kind": "trouble", "text": "There is no camera."}, [])
    drawn = your_own_images.recorded_or_drawn(camera)
    said = capsys.readouterr().out
    assert "There is no camera. 'mug' has 12 pictures in 1 press; 'nothing' has 3 pictures in 1 press." in said
    assert len(list(drawn.rglob("press*.jpg"))) == 288
    (drawn / "nothing/press02-003.jpg").write_bytes(b"mine")
    assert (your_own_images.recorded_or_drawn(camera) / "nothing/press02-003.jpg").read_bytes() == b"mine", "what is there stays"
    for label, press in ((0, "c"), (0, "d"), (1, "e"), (1, "f")):
        record(camera, label, press, 5)
    assert camera.missing == "" and your_own_images.recorded_or_drawn(camera) == camera.folder


# Live


def ask(camera, data=None):
    camera._heard(camera.widget, {"kind": "ask", "id": 7}, [data or picture()])
    return camera.sent[-1]


def test_live_answers_in_the_order_of_the_classes_and_trouble_in_words(camera):
    assert "No network is trained yet" in ask(camera)["trouble"]
    shares = {"nothing": 0.75, "mug": 0.25}
    camera.live(SimpleNamespace(predict=lambda file: shares, classes=["mug", "nothing"]))
    assert ask(camera) == {"kind": "answer", "id": 7, "shares": [0.25, 0.75]} and camera.widget.classes == ["mug", "nothing"]
    camera.live(lambda file: {"mug": len(file.read()), "nothing": 0})  # a function will do
    assert ask(camera)["shares"] == [len(picture()), 0]
    camera.live(lambda file: {"mug": 1 / 0})
    assert ask(camera)["trouble"] == "No answer. ZeroDivisionError: division by zero"
    with pytest.raises(TypeError, match="got NoneType: train first"):
        camera.live(None)


def test_widget_stays_within_what_colab_has_and_asks_for_nothing_from_elsewhere(made, camera):  # noqa: F811
    h.camera(["a", "b"], camera.folder)
    KNOWN["_Widget"] = {"labels", "said"}
    assert not unknown(made)
    for file in ("camera.js", "page.html"):
        text = (page._PAGE.parent / file).read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!localhost)\w|import\(|@import|<script src|<link", text.replace("http:// and", ""))


# The page


def visit(address, data=None, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data, headers), timeout=20) as reply:
            return reply.status, reply.read().decode(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


@pytest.fixture(scope="module")
def classifier():
    backbone = h.load_backbone("garden-small")
    h.swap_head(backbone.model, 2)
    return Classifier(backbone, ["a<b>", "other"], 32, "garden-small")


def test_served_page_names_a_picture_for_those_with_the_token_and_stops_when_closed(classifier):
    served = classifier.serve()
    assert served.address.startswith("http://127.0.0.1:") and len(served.token) > 20
    status, text, headers = visit(served.address)
    assert status == 200 and "a&lt;b&gt; or other?" in text and "a<b>" not in text and 'accept="image/*" capture' in text
    assert "default-src 'none'" in headers["Content-Security-Policy"] and headers["Referrer-Policy"] == "no-referrer"
    status, text, _ = visit(served.address, picture())
    said = json.loads(text)
    assert status == 200 and said["answer"] in ("a<b>", "other") and sum(said["shares"].values()) == pytest.approx(1)
    for address in (served.address[:-2] + "/", f"http://127.0.0.1:{served.port}/", served.address + "../x"):
        assert visit(address)[0] == visit(address, b"x")[0] == 403
    assert visit(served.address, b"hello")[:2] == (422, "No answer: the image: cannot be decoded (not an image, or of an unknown "
                                                   "kind). Replace it or remove it.")  # fmt: skip
    assert visit(served.address, b"x", **{"Content-Length": str(page.LIMIT + 1)})[:2] == (
        413, "The file is too large: at most 20 MB are taken.")  # fmt: skip
    assert visit(served.address, b"x", **{"Content-Length": "-3"})[0] == 413
    second = classifier.serve(lambda content: f"{len(content)} bytes")  # the cell is run again
    with pytest.raises(urllib.error.URLError):
        visit(served.address)
    assert json.loads(visit(second.address, picture())[1])["answer"] == f"{len(picture())} bytes"
    second.close()


def test_what_goes_wrong_in_the_students_function_is_said_on_the_page(classifier):
    def blank(content):
        raise NotImplementedError

    for answer, status, words in ((blank, 501, "Nobody answers yet"), (lambda content: None, 500, "Does it end in `return`?"),
                                  (lambda content: 1 / 0, 500, "ZeroDivisionError")):  # fmt: skip
        served = classifier.serve(answer)
        assert visit(served.address, picture())[0] == status and words in visit(served.address, picture())[1]
        served.close()
    refused = classifier.serve(lambda content: "No answer: this is a text.")
    assert json.loads(visit(refused.address, b"hello")[1]) == {"answer": "No answer: this is a text.", "shares": {}}
    refused.close()


def test_on_colab_the_page_opens_through_colabs_own_door(classifier, monkeypatch):
    opened = []
    output = SimpleNamespace(serve_kernel_port_as_window=lambda port, path: opened.append((port, path)))
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "google.colab.output", output)
    served = classifier.serve()
    assert opened == [(served.port, f"/{served.token}/")]
    served.close()
