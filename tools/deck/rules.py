"""The rules of a deck: `faults` says where the pages of a notebook break them.

What only a browser can tell (does all of it fit, how high are the letters) is in tests/test_slides.py.
"""

import re

from deck.pages import PREDICT, SECTION, markdown, plain

PAGES, HEADLINE, WORDS, LINES = (18, 30), 16, 40, 8
OUTCOMES = ("figure", "table", "printed")
LOOSE = re.compile(r"(?<![\w.])(?!95\s?%)\d[\d.,]*\s?(?:%|percent\b|points?\b)")  # a measured number, by the look of it
CITED = re.compile(r"\]\(http|\b(?:19|20)\d\d\b|\bchance\b", re.IGNORECASE)


def faults(made, notebook):
    """What is against the rules in the pages of a notebook, a line each."""
    found, seen, first_outcome = [], set(), {}
    if not PAGES[0] <= len(made) <= PAGES[1]:
        found.append(f"{len(made)} pages: a deck has {PAGES[0]} to {PAGES[1]}")
    for number, page in enumerate(made, 1):
        found += [f"page {number} ({page.cell}): {fault}" for fault in of_page(page, seen)]
        seen.add(page.headline)
        if page.kind in OUTCOMES or (page.kind == "code" and "<pre>" in page.body.partition("</div>")[2]):
            first_outcome.setdefault(page.section, number)
        if any(rank == 0 for rank, _ in page.notes) and page.section in first_outcome:
            found.append(f"page {number} ({page.cell}): the instructor's note comes with or after an outcome of its section; "
                         "put its cell right after the section's first text")  # fmt: skip
    passed = []  # the pages before a cell, of its section
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and SECTION.search(cell.source):
            passed = []
        if cell.cell_type == "code" and "beside(" in cell.source:
            tables = "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
            measured = [float(number) for number in re.findall(r"</th>\s*<td>(-?\d[\d.]*)</td>", tables)]
            found += [f"page {made.index(page) + 1} ({page.cell}) gives away what cell {cell.id} measures: {told}"
                      for page in passed for told in given_away(measured, page.shown)]  # fmt: skip
        passed += [page for page in made if page.cell == cell.id]
        asks = cell.cell_type == "markdown" and PREDICT in cell.source
        if asks and not any(page.asks for page in passed if page.cell == cell.id):
            found.append(f"cell {cell.id} asks for a prediction and is no page")
    return found


def of_page(page, seen):
    """The faults of a page by itself. seen: the headlines before it."""
    words = len(re.findall(r"\S*\w\S*", plain(re.sub(r'<div class="code">.*?</div>', "", page.body, flags=re.DOTALL))))
    headline = len(plain(markdown(page.headline)).split())
    if not page.headline:
        yield "no headline: say in a sentence what is to be learnt here"
    if headline > HEADLINE:
        yield f"a headline of {headline} words: at most {HEADLINE}"
    if page.headline and page.headline in seen:
        yield "the headline of an earlier page"
    if words > WORDS and page.kind != "quiz":
        yield f"{words} words besides the headline: at most {WORDS}"
    if page.lines > LINES:
        yield f"{page.lines} lines of code: at most {LINES}"
    if not page.body:
        yield "nothing but a headline"
    if len(plain(re.sub(r"<details>.*?</details>", "", page.said, flags=re.DOTALL)).split()) < 5:
        yield "no notes: the text after the cell is said with it, and so are the words of `notes` in its slide"
    if re.search(r"<th>(you guessed|off by)</th>|\bguess\w*\b.*\bNone\b", page.body) or re.search(r"guess\w* = ", page.shown):
        yield "the placeholder of a guess"
    for text in page.typed:
        if (loose := LOOSE.search(text)) and not any(map(CITED.search, page.typed)):
            yield f"{loose[0]!r} is typed: write {{key}} of the mark that holds it in the notebook's text, or cite a source"


def given_away(numbers, text):
    """Those of the measured numbers that a text tells, exactly or rounded."""
    forms = [form for number in numbers for form in (f"{number:.1f}", f"{number:.0f}%", f"{number:.0f} points")]
    return [form for form in forms if re.search(rf"(?<![\d.]){re.escape(form)}(?!\d)", text)]
