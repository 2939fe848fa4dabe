"""A deck keeps its rules on every rendered page, and a deck that breaks one is found; it opens offline from the file system."""

import base64
import io
import re

import IPython.display
import matplotlib.pyplot as plt
import nbformat
import numpy
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from project import notebooks

import helpers as h

pytest.importorskip("nbconvert", reason="nbconvert comes with the extra teach")
pytest.importorskip("sphinx_revealjs", reason="sphinx-revealjs, which brings reveal.js, comes with the extra teach")
import slides  # noqa: E402
from deck.pages import excerpt, outcome, pages, plain  # noqa: E402
from deck.rules import faults  # noqa: E402

LECTURES = {path.stem: path for path in notebooks("notebooks") if re.match(r"0[1-9]_", path.name)}
REQUIRED = list(LECTURES)  # must have a deck
SMALLEST = 18  # pixels of a page of 720: a fortieth of its height

# Of every page: what is on it and how large, and what is outside of it, with each answer of a quiz unfolded in turn.
WALK = """() => Reveal.getSlides().map((slide, i) => {
  Reveal.slide(i);
  const page = slide.querySelector('.page'), box = page.getBoundingClientRect(), body = page.querySelector('.body'), outside = [];
  const look = when => {
    for (const element of page.querySelectorAll('*')) {
      const at = element.getBoundingClientRect(), shown = at.width && at.height;
      if (shown && (at.left < box.left || at.right > box.left + 1260 || at.bottom > box.top + 690))
        outside.push(`${when} ${element.tagName} ${Math.round(at.right - box.left)} x ${Math.round(at.bottom - box.top)}`);
      const block = getComputedStyle(element).display != 'inline' && !element.closest('.MathJax');
      if (shown && block && element.clientWidth && element.scrollWidth > element.clientWidth + 2)
        outside.push(`${when} inside ${element.tagName}`);
    } };
  look('');
  for (const details of page.querySelectorAll('details')) { details.open = true; look('unfolded'); details.open = false; }
  const walker = document.createTreeWalker(page, NodeFilter.SHOW_TEXT), sizes = [];
  for (let node; (node = walker.nextNode());)
    if (node.textContent.trim() && node.parentElement.checkVisibility({visibilityProperty: true}))
      sizes.push(parseFloat(getComputedStyle(node.parentElement).fontSize));
  const letters = [...page.querySelectorAll('img')].map(img => img.dataset.letters == 'none' ? 99 : Math.min(
    img.clientWidth / img.naturalWidth, img.clientHeight / img.naturalHeight) * parseFloat(img.dataset.letters));
  const has = {figure: 'img', code: '.code', quiz: 'details', table: 'table', printed: '.body > pre',
    points: '.points, .body > p, .body > ul'};
  return {name: `${i + 1} (${slide.dataset.cell})`, outside, smallest: Math.min(...sizes), letters,
    things: Object.keys(has).filter(thing => page.querySelector(has[thing])), headline: page.querySelector('h2').innerText.trim(),
    seen: page.innerText, notes: slide.querySelector('aside.notes').textContent.trim()};
})"""


def wrong(page, comments=()):
    """What is wrong with a rendered page."""
    main = {*page["things"]} - {"points"}
    found = [f"overflows: {place}" for place in page["outside"]]
    found += [f"text of {page['smallest']} px"] * (page["smallest"] < SMALLEST)
    found += [f"letters of {size} px in a figure" for size in page["letters"] if size is None or size < SMALLEST]
    found += [f"{sorted(main)} on one page"] * (len(main) > 1 and main not in ({"code", "printed"}, {"code", "table"}))
    found += ["is empty"] * (not page["things"]) + ["no headline"] * (not page["headline"]) + ["no notes"] * (not page["notes"])
    shown = page["seen"] + page["notes"]
    return found + [f"a comment is seen: {comment}" for comment in {*comments, "<!--", "-->"} if comment in shown]


def comments(notebook):
    """The insides of the HTML comments in a notebook's texts, those that no sentence could hold."""
    texts = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return {inside for inside in re.findall(r"<!-- (.*?) -->", texts) if re.search(r"[./]", inside)}


# A small made-up lecture that keeps all rules


def shown_figure(size=(8.5, 4), fontsize=10, title="Two lines that rise,\nand a title that says it"):
    """What `h.show` stores of a figure."""
    stored, figure = [], plt.figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.plot([1, 2])
    axes.tick_params(labelsize=fontsize)
    axes.set_title(title, fontsize=14)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IPython.display, "display", lambda bundle, raw: stored.append(bundle))
        h.show(figure, "A line that rises from one to two, slowly.")
    plt.close(figure)
    return stored[0]


def made_up():
    """{name: cell} of a lecture with a page of every kind, in order."""
    row = "<tr><th>{}</th><td>{}</td></tr>"
    table = f'<table border="1" class="dataframe"><tbody>{row.format("frozen", 37.5)}{row.format("free", 61.2)}</tbody></table>'
    loop = "\n".join(["rows = 3", "for row in range(rows):", *(f"    step({i})" for i in range(7)), "print(rows)"])

    def text(source, slide=None, **about):
        return new_markdown_cell(source, metadata=about | ({} if slide is None else {"slide": slide}))

    def code(source, data=None, slide=None):
        outputs = [new_output("display_data", data=data)] if data else []
        return new_code_cell(source, metadata={} if slide is None else {"slide": slide}, outputs=outputs)

    gain = "<!-- 09.gain -->12 points (3 to 21)<!-- /09.gain -->"
    found = {
        "title": text("# Lecture 9: made up\n\n**Transfer saves most of the work.** More.", {"points": ["By $x^2$"]}),
        "section": text(f"## 1 Freezing\n\n**Frozen stages never change in training.** {gain}.",
                        {"points": ["A gain of {09.gain}", "See [lecture 3](03_variants.ipynb)"]}),
        "note": text("**For the instructor.** Ask them what freezing costs.", slideshow={"slide_type": "notes"}),
        "ask": text("Steps are timed. **Predict.** How much time does freezing save? Guess.",
                    {"notes": "Wait for at least three guesses."}),
        "guess": code("guess = {'frozen': None}"),
        "outcome": code("h.beside(guess, measured)", {"text/html": table}, {"headline": "Freezing saves a third of the time"}),
        "said": text("It does so because nothing below needs a gradient."),
        "figure": code('h.show(figure, "09/lines")', shown_figure(), {}),
        "loop": code(loop, {"text/plain": "3"}, {"headline": "The loop in Python", "code": ["for", "step(5)"], "output": True}),
        "said too": text("Seven lines are enough for all that follows."),
        "quiz": code('h.quiz("03/freezing-saves")', slide={}),
    }  # fmt: skip
    for i in range(11):
        found[f"more {i}"] = text(f"**Filler {i} says something of its own.** Words follow it.", {"points": ["A point"]})
    for name, cell in found.items():
        cell.id = re.sub(r"\W", "-", name)
    return found


def lecture(cells):
    return new_notebook(cells=list(cells.values()))


def test_made_up_lecture_keeps_all_rules_and_its_pages_come_from_its_cells():
    notebook = lecture(made_up())
    made = pages(notebook)
    assert not faults(made, notebook) and len(made) == 18
    title, section, ask, table, figure, loop, quiz, *_ = made
    assert [page.kind for page in made[:8]] == ["title", "points", "text", "table", "figure", "code", "quiz", "points"]
    assert title.headline == "Transfer saves most of the work" and section.headline == "Frozen stages never change in training"
    assert "A gain of 12 points (3 to 21)" in section.shown and "<!--" not in section.body + section.said
    assert plain(section.said).startswith("For the instructor. Ask them") and "12 points" in section.said
    assert ask.asks and ask.headline == "How much time does freezing save?" and plain(ask.body) == "Steps are timed. Guess."
    assert "three guesses" in ask.said and not any("None" in page.shown + page.said for page in made)
    assert "nothing below needs a gradient" in table.said
    assert figure.headline == "Two lines that rise, and a title that says it" and "A line that rises" in figure.said
    assert loop.lines == 7 and plain(loop.body).endswith("3") and "Seven lines" in loop.said
    assert quiz.headline == "Compared with training everything, what does a step cost?" and "<b>Right:</b>" in quiz.said
    assert quiz.headline not in quiz.body and "Only the head trains" in quiz.body


def test_measured_numbers_come_from_the_text_and_a_headline_has_no_interval():
    cells = made_up()
    cells["section"].metadata.slide["headline"] = "Freezing brings {09.gain}."
    assert pages(lecture(cells))[1].headline == "Freezing brings 12 points"


def test_lecture_without_slides_has_no_deck_and_the_others_are_made(tmp_path):
    nbformat.write(lecture(made_up()), tmp_path / "09_made_up.ipynb")
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Lecture 8")]), tmp_path / "08_none.ipynb")
    built = slides.build([tmp_path / "08_none.ipynb", tmp_path / "09_made_up.ipynb"], tmp_path / "to")
    assert [deck and deck.name for deck, _ in built.values()] == [None, "09_made_up.html"]
    index = (tmp_path / "to/index.html").read_text()
    assert "09_made_up.html" in index and "08_none" not in index


def test_make_slides_stops_with_the_notebook_and_the_cell_where_a_slide_cannot_be_made(tmp_path, monkeypatch):
    nbformat.write(lecture(slide("loop", code=["while", "step"])(made_up())), tmp_path / "09_made_up.ipynb")
    monkeypatch.setattr("sys.argv", ["slides.py", str(tmp_path / "09_made_up.ipynb"), "--to", str(tmp_path)])
    with pytest.raises(SystemExit, match="09_made_up.ipynb, cell loop: no line of its code begins with 'while'"):
        slides.main()


def without(name, cells):
    return {key: cell for key, cell in cells.items() if key != name}


def note_late(cells):
    order = [name for name in cells if name != "note"]
    order.insert(order.index("said") + 1, "note")
    return {name: cells[name] for name in order}


def slide(name, **changes):
    def change(cells):
        cells[name].metadata.slide = {**cells[name].metadata.get("slide", {}), **changes}
        return cells

    return change


def unmarked(cells):
    del cells["ask"].metadata["slide"]
    return cells


def guessed(cells):
    data = cells["outcome"].outputs[0].data
    data["text/html"] = data["text/html"].replace("<tbody>", "<thead><tr><th></th><th>you guessed</th></tr></thead><tbody>")
    return cells


BROKEN = {
    "17 pages: a deck has 18 to 30": lambda cells: without("more 3", cells),
    "page 2 (section): a headline of 17 words": slide("section", headline="word " * 17),
    "page 3 (ask): the headline of an earlier page": slide("ask", headline="Transfer saves most of the work"),
    "page 6 (loop): no headline": slide("loop", headline=""),
    "page 2 (section): 41 words besides": slide("section", points=["word " * 41]),
    "page 6 (loop): 10 lines of code": slide("loop", code=True),
    "page 6 (loop): no notes": lambda cells: without("said too", cells),
    "page 2 (section): nothing but a headline": lambda cells: cells | {"section": new_markdown_cell(
        "## 1 Freezing\n\n**Frozen stages never change in training.**", id="section", metadata={"slide": {}})},
    "page 4 (outcome): the instructor's note comes with or after an outcome": note_late,
    "cell ask asks for a prediction and is no page": unmarked,
    "page 2 (section) gives away what cell outcome measures: 61%": slide("section", points=["Nearly 61% by chance"]),
    "page 2 (section): '12 points' is typed": slide("section", points=["A gain of 12 points"]),
    "page 4 (guess): the placeholder of a guess": slide("guess", headline="Write your guess down", code=True),
    "page 4 (outcome): the placeholder of a guess": guessed,
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_deck_that_breaks_a_rule_is_found(fault):
    notebook = lecture(BROKEN[fault](made_up()))
    found = faults(pages(notebook), notebook)
    assert [line for line in found if line.startswith(fault)], found


IMPOSSIBLE = {
    "cell loop: no line of its code begins with 'while'": slide("loop", code=["while", "step"]),
    "cell loop: code is true, or how": slide("loop", code=[3, 9]),
    "cell section: no mark 09.none": slide("section", points=["{09.none}"]),
    "cell section: a slide has no colour": slide("section", colour="red"),
    "cell guess: it has no output to show": slide("guess", headline="Guess"),
}


@pytest.mark.parametrize("error", IMPOSSIBLE)
def test_slide_that_cannot_be_made_is_an_error_with_its_cell(error):
    with pytest.raises(ValueError, match=re.escape(error)):
        pages(lecture(IMPOSSIBLE[error](made_up())))


def test_excerpt_is_moved_to_the_left_and_ends_at_the_next_line_that_begins_so():
    assert excerpt("a\n  b = 1\n  c\nb\nc", ["b", "c"]) == "b = 1\nc" and excerpt("a\nb", ["b", "b"]) == "b"


TITLES = [(10, 13.9, "Two lines\nyou gauge"), (6, 8.3, "A gauge, jointly"), (10, 13.9, "ONE")]


@pytest.mark.parametrize("size, letters, title", TITLES)
def test_stored_figure_knows_its_smallest_letters_and_gives_its_title_away_whole(size, letters, title):
    stored = shown_figure(fontsize=size, title=title)
    kind, html, found, notes = outcome(new_code_cell(outputs=[new_output("display_data", data=stored)]))
    assert kind == "figure" and f'data-letters="{letters}"' in html and found == title.replace("\n", " ")
    assert "data-title" not in html and "A line that rises" in notes
    picture = Image.open(io.BytesIO(base64.b64decode(re.search("base64,([^\"]+)", html)[1]))).convert("L")
    dark = (numpy.array(picture) < 200).sum(1)[:12].tolist()
    frame = next(row for row, count in enumerate(dark) if count > 750)  # whole, and above it at most the label beside it
    assert picture.height > 340 and max(dark[:frame], default=0) < 30


@pytest.mark.parametrize(
    "html, expected",
    [
        ('<a href="02_b.ipynb">two</a>', '<a href="02_b.html">two</a>'),
        ('<a href="explorer.ipynb">it</a>', "it"),
        ('<a href="../README.md#x">the <b>page</b></a>', "the <b>page</b>"),
        ('<a href="https://example.org/x">paper</a>', '<a href="https://example.org/x">paper</a>'),
    ],
)
def test_links_lead_to_decks_or_are_words(html, expected):
    assert slides.relinked(html, ["01_a", "02_b"]) == expected


# The pages in a browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the decks of all lectures that have one, and of two made-up ones: the second breaks the rules."""
    to = tmp_path_factory.mktemp("slides")
    nbformat.write(lecture(made_up()), to / "09_made_up.ipynb")
    broken = made_up()
    broken["section"].metadata.slide["points"] = ['<span style="font-size:12px">small</span>', "too much " * 600]
    broken["figure"].outputs = [new_output("display_data", data=shown_figure(size=(12, 4)))]
    broken["outcome"].metadata.slide["points"] = ["<b>&lt;!-- 09.gain --&gt;</b>"]
    broken["said too"].source = ""
    broken["loop"].outputs[0].data = shown_figure()
    nbformat.write(lecture(broken), to / "08_broken.ipynb")
    slides.build([*LECTURES.values(), to / "09_made_up.ipynb", to / "08_broken.ipynb"], to)
    return to


@pytest.fixture(scope="module")
def seen(folder, browser):
    """{deck: its pages, as WALK tells of them}, and what the browser said and asked for on the way."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    said, asked, walked = [], [], {}
    context.on("console", lambda message: said.append(message.text))
    context.on("weberror", lambda error: said.append(str(error.error)))
    context.on("request", lambda request: asked.append(request.url))
    context.on("requestfailed", lambda request: said.append(f"not found: {request.url}"))
    page = context.new_page()
    for path in sorted(folder.glob("0*.html")):
        page.goto(path.as_uri())
        page.wait_for_function("window.Reveal && Reveal.isReady()")
        walked[path.stem] = page.evaluate(WALK)
    yield walked, said, asked
    context.close()


def test_lectures_that_must_have_a_deck_have_one(folder):
    assert not [name for name in REQUIRED if not (folder / f"{name}.html").exists()]


@pytest.mark.parametrize("name", [*LECTURES, "09_made_up"])
def test_every_page_of_a_deck_can_be_read_and_keeps_the_rules(name, seen, folder):
    if not (folder / f"{name}.html").exists():
        pytest.skip(f"{name} has no slides yet")
    notebook = nbformat.read(LECTURES.get(name, folder / f"{name}.ipynb"), as_version=4)
    assert len(seen[0][name]) == len(pages(notebook))
    assert not faults(pages(notebook), notebook)
    told = {page["name"]: found for page in seen[0][name] if (found := wrong(page, comments(notebook)))}
    assert not told


def test_what_is_wrong_on_a_rendered_page_is_found(seen):
    found = {page["name"]: "; ".join(wrong(page, ["09.gain"])) for page in seen[0]["08_broken"]}
    assert "overflows" in found["2 (section)"] and "text of 12 px" in found["2 (section)"]
    assert "a comment is seen: 09.gain" in found["4 (outcome)"]
    assert re.search(r"letters of 1\d\.\d+ px in a figure", found["5 (figure)"])
    assert "['code', 'figure'] on one page" in found["6 (loop)"]
    assert not found["3 (ask)"]


def test_decks_ask_for_nothing_but_files_and_raise_no_error(seen, folder):
    _, said, asked = seen
    assert not said and len(asked) > 15
    assert not [url[:100] for url in asked if not url.startswith((folder.as_uri() + "/", "data:", "blob:"))]


def test_licences_of_what_is_copied_come_along(folder):
    assert "Permission is hereby granted, free of charge" in (folder / "reveal/LICENSE").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE" in (folder / "reveal/dist/theme/fonts/source-sans-pro/LICENSE").read_text().upper()
    assert "Apache License" in (folder / "mathjax/LICENSE").read_text(encoding="utf-8")


def test_speaker_view_opens_offline_with_the_notes(folder, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto((folder / "09_made_up.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    with context.expect_page() as popup:
        page.keyboard.press("s")
    popup.value.frame_locator("iframe").nth(0).locator(".present .page").first.wait_for()
    page.keyboard.press("ArrowRight")
    popup.value.locator(".speaker-controls-notes .value").get_by_text("Ask them what freezing costs.").wait_for()
    assert not [url for url in asked if not url.startswith(("file:", "data:", "about:", "blob:"))]
    context.close()


def test_a_pdf_has_a_sheet_for_each_page(folder, browser, seen):
    page = browser.new_page()
    for name in [name for name in seen[0] if name != "08_broken"][-2:]:
        page.goto((folder / f"{name}.html").as_uri() + "?print-pdf")
        page.wait_for_function("window.Reveal && Reveal.isReady() && document.querySelector('.pdf-page')")
        assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == len(seen[0][name])
    page.close()
