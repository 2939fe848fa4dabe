"""Every lecture is a deck: it opens offline from the file system, nothing overflows, all of it can be read."""

import re

import pytest
from project import notebooks

pytest.importorskip("nbconvert", reason="nbconvert comes with the extra teach")
pytest.importorskip("sphinx_revealjs", reason="sphinx-revealjs, which brings reveal.js, comes with the extra teach")
import slides  # noqa: E402

LECTURES = [path for path in notebooks("notebooks") if re.match(r"0[1-9]_", path.name)]
SMALLEST_TEXT = 18  # pixels of a page of 720: a fortieth of its height
SMALLEST_FIGURE = 0.83  # of the figure's own size, in which its text is 12 points, that is 16.7 pixels, for the most part

# Of every page: what is on it, and what is outside of it, with each answer of a quiz unfolded in turn.
WALK = """() => Reveal.getSlides().map(slide => {
  const {h, v} = Reveal.getIndices(slide);
  Reveal.slide(h, v, 999);
  const page = slide.querySelector('.page'), box = page.getBoundingClientRect(), scale = Reveal.getScale();
  const outside = [];
  const right = box.left + 1260 * scale, bottom = box.top + 700 * scale;
  const look = (when) => {
    for (const element of page.querySelectorAll('*')) {
      const at = element.getBoundingClientRect(), shown = at.width && at.height;
      if (shown && (at.left < box.left || at.right > right || at.bottom > bottom))
        outside.push(`${when} ${element.tagName} ${Math.round(at.right - box.left)} x ${Math.round(at.bottom - box.top)}`);
      const block = getComputedStyle(element).display != 'inline';
      if (shown && block && !element.closest('.MathJax') && element.clientWidth && element.scrollWidth > element.clientWidth + 2)
        outside.push(`${when} inside ${element.tagName}`);
    }
  };
  look('');
  for (const details of page.querySelectorAll('details')) {
    details.open = true; look('unfolded'); details.open = false;
  }
  const walker = document.createTreeWalker(page, NodeFilter.SHOW_TEXT), sizes = [];
  for (let node; (node = walker.nextNode());)
    if (node.textContent.trim() && node.parentElement.checkVisibility({visibilityProperty: true}))
      sizes.push(parseFloat(getComputedStyle(node.parentElement).fontSize));
  const figures = [...page.querySelectorAll('img')];
  return {h, v, outside, smallest: Math.min(...sizes), words: page.innerText.trim(),
    own: [...page.children].filter(part => !part.matches('.running') && part.getBoundingClientRect().height > 5).length,
    first: [...page.children].findIndex(part => !part.matches('.fragment, .running')),
    figures: figures.map(figure => figure.clientWidth / figure.naturalWidth),
    notes: slide.querySelector('aside.notes')?.textContent.trim().length ?? 0};
})"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with all decks."""
    to = tmp_path_factory.mktemp("slides")
    slides.build(LECTURES, to)
    return to


@pytest.fixture(scope="module")
def seen(folder, browser):
    """{lecture: its pages, as WALK tells of them}, and what the browser said and asked for on the way."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    said, asked, pages = [], [], {}
    context.on("console", lambda message: said.append(message.text))
    context.on("weberror", lambda error: said.append(str(error.error)))
    context.on("request", lambda request: asked.append(request.url))
    context.on("requestfailed", lambda request: said.append(f"not found: {request.url}"))
    page = context.new_page()
    for lecture in LECTURES:
        page.goto((folder / f"{lecture.stem}.html").as_uri())
        page.wait_for_function("window.Reveal && Reveal.isReady()")
        pages[lecture.stem] = page.evaluate(WALK)
    yield pages, said, asked
    context.close()


each = pytest.mark.parametrize("lecture", [path.stem for path in LECTURES])


@each
def test_nothing_overflows_at_1280_by_720_and_no_page_is_empty(seen, lecture):
    for page in seen[0][lecture]:
        where = f"page {page['h']}, {page['v']}"
        assert not page["outside"], where
        assert page["words"] and page["own"] >= 1, f"{where} is empty"
        assert page["first"] in (0, 1), f"{where} is empty before a key is pressed"


@each
def test_all_text_can_be_read_from_the_last_row_and_most_pages_have_notes(seen, lecture):
    pages = seen[0][lecture]
    small = {(page["h"], page["v"]): page["smallest"] for page in pages if page["smallest"] < SMALLEST_TEXT}
    assert not small, f"text below {SMALLEST_TEXT} px: {small}"
    figures = [scale for page in pages for scale in page["figures"]]
    assert len(figures) >= (2 if lecture.startswith("02_") else 5) and min(figures) >= SMALLEST_FIGURE
    assert sum(bool(page["notes"]) for page in pages) > len(pages) / 2


def test_decks_ask_for_nothing_but_files_and_raise_no_error(seen, folder):
    _, said, asked = seen
    assert not said
    assert len(asked) > 5 * len(LECTURES)
    allowed = (folder.as_uri() + "/", "data:", "blob:")
    assert not [url[:100] for url in asked if not url.startswith(allowed)]


def test_no_remote_address_is_loaded_by_any_file_of_the_decks(folder):
    places = r"\bsrc\s*=|<link[^>]*\bhref\s*=|\bsrcset\s*=|@import|\burl\(|\bimport\s*\("
    loads = rf"""(?:{places})\s*["'(]*\s*(?:https?:)?//[^\s"')]+"""
    files = [*folder.glob("*.html"), *folder.glob("*.css"), *folder.glob("*.js"), *folder.glob("reveal/**/*.css")]
    assert len(files) >= len(LECTURES) + 3
    assert not {path.name: found for path in files if (found := re.findall(loads, path.read_text(encoding="utf-8"))[:3])}
    assert re.findall(loads, '<script src="https://example.org/x.js">') and re.findall(loads, "@import url(//example.org/x.css)")


def test_licences_of_what_is_copied_come_along(folder):
    assert "Permission is hereby granted, free of charge" in (folder / "reveal/LICENSE").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE" in (folder / "reveal/dist/theme/fonts/source-sans-pro/LICENSE").read_text().upper()
    if (folder / "mathjax").exists():
        assert "Apache License" in (folder / "mathjax/LICENSE").read_text(encoding="utf-8")


def test_speaker_view_opens_offline_with_the_notes(folder, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto((folder / f"{LECTURES[0].stem}.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    with context.expect_page() as popup:
        page.keyboard.press("s")
    speaker = popup.value
    speaker.frame_locator("iframe").nth(0).locator(".present .page").first.wait_for()
    page.evaluate("""() => {const all = [...document.querySelectorAll('aside.notes')];
        const at = Reveal.getIndices(all.find(notes => notes.textContent.includes('For the instructor')).parentElement);
        Reveal.slide(at.h, at.v)}""")
    notes = speaker.locator(".speaker-controls-notes .value")
    notes.get_by_text("For the instructor").first.wait_for()
    assert "minutes" in notes.inner_text()
    assert not [url for url in asked if not url.startswith(("file:", "data:", "about:", "blob:"))]
    context.close()


def test_a_pdf_has_a_sheet_for_each_page(folder, browser, seen, tmp_path):
    page = browser.new_page()
    page.goto((folder / f"{LECTURES[-1].stem}.html").as_uri() + "?print-pdf")
    page.wait_for_function("window.Reveal && Reveal.isReady() && document.querySelector('.pdf-page')")
    pdf = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == len(seen[0][LECTURES[-1].stem])
    page.close()


# What the page is made of


def test_text_that_describes_a_figure_is_left_out_of_the_code_on_a_slide():
    shown = 'figure = h.plot_lines(x)\nh.show(figure, "Lines that rise, "\n               "and fall.")\nprint(1)\n'
    assert slides.without_alt(shown) == 'figure = h.plot_lines(x)\nh.show(figure, "...")\nprint(1)\n'
    named = 'alt = (\n    "Lines "\n    "that rise."\n)\nh.show(figure, alt)'
    assert slides.without_alt(named) == 'h.show(figure, "...")'
    assert slides.without_alt('h.show(figure, f"{x} é")  # ü') == 'h.show(figure, "...")  # ü'
    assert slides.without_alt('show = 1\nprint("a", "b")') == 'show = 1\nprint("a", "b")'


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
