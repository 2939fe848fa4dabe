"""What is stored in the notebooks looks finished: no warnings, no advertisements, no half-drawn bars, no raw numbers."""

import base64
import re
from html import unescape

import nbformat
import pytest
from project import name, notebooks

STORED = notebooks("notebooks", "solutions")
# A number with five or more digits after the point, zeros before the first other digit aside: 83.33333, not 0.00003.
UNROUNDED = re.compile(r"(?<![\w.])-?\d+\.(?=\d*[1-9])0*[1-9]\d{4,}(?![\w.])")
DEBRIS = {
    "a warning": r"\b\w*Warning\b|\bwarnings?\.warn|\bDeprecat|\bdeprecated\b",
    "an advertisement": r"litlogger|lightning\.ai|\bTip:|💡|\bupgrade to\b|\bpip install -U\b|\bwandb\b|\bstar us\b",
    "what Lightning says of itself": r"rank_zero|\b[GTHI]PU available|LOCAL_RANK|CUDA_VISIBLE|`?Trainer\.fit`? stopped"
    r"|Seed set to|Sanity Checking|configure_optimizers|num_workers|Total estimated model|Restoring states|lightning_logs",
    "a progress bar": r"\r|\d+%\|| \d+/\d+ \[|it/s\b|s/it\b|[█▉▊▋▌▍▎▏━╸]|Epoch \d+:|Downloading:|\d+(\.\d+)?[kM]B/s",
    "control characters": r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",
    "a place on somebody's machine": r"site-packages|/tmp/|/home/|/root/|/Users/|[A-Z]:\\Users|ipykernel_\d+|\b0x[0-9a-f]{8,}",
}


def outputs(path):
    """(cell, stored output, its HTML or "") of a notebook, in order."""
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            yield cell, output, output.get("data", {}).get("text/html", "")


def words(html):
    """What a reader sees of HTML; of figures, the words below."""
    return unescape(re.sub(r"<style.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL))


def stored_texts(path):
    """(cell, text) of all outputs of a notebook as a reader sees them."""
    for cell, output, html in outputs(path):
        yield cell, output.get("text", "")
        yield cell, words(html) or output.get("data", {}).get("text/plain", "")


def tables(path):
    """(cell, rows of texts) of every table that a notebook has stored."""
    for cell, _, html in outputs(path):
        for table in re.findall(r"<table.*?</table>", html, re.DOTALL):
            rows = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
            cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
            yield cell, [[words(text).strip() for text in row] for row in cells]


def debris(text):
    """What should not be in a text, by kind."""
    return {kind: found.group() for kind, pattern in DEBRIS.items() if (found := re.search(pattern, text))}


def raw(rows):
    """The cells of a table that nobody formatted: unrounded numbers, missing values, rows or columns left out."""
    texts = [text for row in rows for text in row]
    return [text for text in texts if UNROUNDED.search(text) or text in ("NaN", "nan", "None", "NaT", "...", "\u2026")]


each = pytest.mark.parametrize("path", [pytest.param(path, id=name(path)) for path in STORED])


@each
def test_stored_outputs_hold_no_debris_and_numbers_are_rounded(path):
    found = [(cell.id, kind, text) for cell, all_ in stored_texts(path) for kind, text in debris(all_).items()]
    found += [(cell.id, "a raw number", text) for cell, all_ in stored_texts(path) for text in UNROUNDED.findall(all_)]
    assert not found


@each
def test_stored_tables_are_formatted(path):
    for cell, rows in tables(path):
        assert not raw(rows), f"cell {cell.id} shows {raw(rows)[:5]}"
        assert len(rows) <= 30 and max(map(len, rows)) <= 12, f"cell {cell.id}: a table of {len(rows)} rows is too much to read"


@pytest.mark.parametrize("path", [pytest.param(path, id=name(path)) for path in notebooks("notebooks")])
def test_stored_figures_of_lectures_are_no_wider_than_a_slide_shows_without_making_their_text_small(path):
    for cell, _, html in outputs(path):
        for code in re.findall(r'data:image/png;base64,([^"]+)', html):
            width = int.from_bytes(base64.b64decode(code[:64])[16:20], "big")
            assert 100 < width <= 1450, f"cell {cell.id}: a figure {width} pixels wide"


@pytest.mark.parametrize(
    "text, kind",
    [
        ("x.py:3: UserWarning: the loader has few workers", "a warning"),
        ("💡 Tip: for seamless logging, install litlogger", "an advertisement"),
        ("INFO: GPU available: False, used: False", "what Lightning says of itself"),
        (" 40%|████      | 4/10 [00:01<00:02,  2.3it/s]", "a progress bar"),
        ("step 1\rstep 2", "a progress bar"),
        ("\x1b[31mred\x1b[0m", "control characters"),
        ("saved to /" + "tmp/abc", "a place on somebody's machine"),
        ("6 runs, 3 seeds, 15 s of training, torch 2.15.0, x86_64, 4 of 10 [the best], (8, 128)", None),
    ],
)
def test_debris_is_found(text, kind):
    assert debris(text).keys() >= {kind} if kind else not debris(text)


def test_raw_cells_are_found_and_formatted_ones_are_not():
    assert raw([["83.333333", "0.1"], ["NaN", "..."]]) == ["83.333333", "NaN", "..."]
    assert not raw([["83.3", "-0.1", "0.0003", "0.000016", "1.84", "1000", "2.15.0", "1e-05", "-", "128 x 28 x 28"]])
