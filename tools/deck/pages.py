"""The pages of a deck, made from a notebook's cells and the `slide` that some of them have in their metadata.

A cell with a slide is a page, with a list of slides several. The text of every other cell is said, not shown: it becomes
notes for the speaker. docs/presenting.md is the manual; rules.py holds the pages to it.
"""

import base64
import io
import re
import textwrap
from dataclasses import dataclass, field
from html import escape, unescape

import numpy
from nbconvert.filters import Highlight2HTML, ansi2html, markdown2html
from PIL import Image

from helpers.notebook.quiz import find, to_html

KEYS = {"headline", "points", "code", "output", "notes"}
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
MARK = re.compile(r"<!-- ([\w.-]+) -->(.*?)<!-- /\1 -->", re.DOTALL)
INTERVAL = re.compile(r"\s\([-+]?[\d.]+\sto\s[-+]?[\d.]+\)")
SECTION = re.compile(r"\A##? (.+)$", re.MULTILINE)
BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
QUIZ = re.compile(r'h\.quiz\("([^"]+)"\)')
PREDICT = "**Predict"
INSTRUCTOR = "**For the instructor.**"


@dataclass
class Page:
    """A page as HTML. notes: (rank, HTML) in the order of the notebook; rank 0 instructor's notes, 1 texts, 2 outcomes, code."""

    cell: str
    section: str
    headline: str = ""  # Markdown
    kind: str = "points"  # or title, text, code, figure, table, printed, quiz
    asks: bool = False
    lines: int = 0  # of code
    body: str = ""
    notes: list = field(default_factory=list)
    typed: list = field(default_factory=list)  # what was written for the slide alone

    @property
    def said(self):
        """The notes in the order in which they are shown."""
        html = "\n".join(html for _, html in sorted(self.notes, key=lambda note: note[0]))
        return html.replace("<pre>", '<pre style="white-space: pre-wrap">')  # the speaker's view has a style of its own

    @property
    def shown(self):
        """The words that are seen on the page, headline included."""
        return f"{plain(markdown(self.headline))} {plain(self.body)}"


def pages(notebook):
    """The pages of a notebook; none if no cell has a slide. Raises ValueError where a slide cannot be made."""
    marks = {key: text for cell in notebook.cells if cell.cell_type == "markdown" for key, text in MARK.findall(cell.source)}
    if not any("slide" in cell.metadata for cell in notebook.cells):
        return []
    made, section, waiting, fresh = [], "", [], True  # fresh: no page of this section yet, so its notes wait for one
    for cell in notebook.cells:
        heading = SECTION.search(cell.source) if cell.cell_type == "markdown" else None
        if heading:
            if waiting and made:  # of a section without a page
                made[-1].notes += waiting
                waiting = []
            section, fresh = COMMENT.sub("", heading[1]), True
        slides = cell.metadata.get("slide")
        if slides is None:
            (waiting if fresh or not made else made[-1].notes).extend(remarks(cell))
        slides = [slides] if isinstance(slides, dict) else slides or []
        for i, slide in enumerate(slides):
            try:
                page = page_of(cell, slide, section, marks)
            except ValueError as error:
                raise ValueError(f"cell {cell.id}: {error}") from None
            page.kind = "title" if not made else page.kind
            page.asks = i == len(slides) - 1 and PREDICT in cell.source
            page.notes = waiting + page.notes
            made.append(page)
            waiting, fresh = [], False
    made[-1].notes += waiting
    return made


def page_of(cell, slide, section, marks):
    """The page that one slide of a cell makes, with what its own cell leaves for the notes."""
    if unknown := set(slide) - KEYS:
        raise ValueError(f"a slide has no {', '.join(sorted(unknown))}; it can have {', '.join(sorted(KEYS))}")
    page = Page(cell.id, section, headline=slide.get("headline", ""))
    page.typed = [page.headline, *slide.get("points", [])]
    points = [filled(point, marks) for point in slide.get("points", [])]
    listed = markdown("\n".join(f"- {point}" for point in points) if len(points) > 1 else "".join(points))
    if cell.cell_type == "markdown":
        from_cell(page, cell, shows=not points)
    else:
        from_code(page, cell, slide)
    page.headline = INTERVAL.sub("", filled(page.headline, marks)).strip().removesuffix(".")
    page.body += f'<div class="points">{listed}</div>' if points else ""
    page.notes += [(1, markdown(slide.get("notes", ""))), *remarks(cell, shown=page)]
    return page


def from_cell(page, cell, shows):
    """Headline and body of a page from a Markdown cell, as far as the slide leaves them to it."""
    text = re.sub(r"\A#+ .*$", "", COMMENT.sub("", cell.source), flags=re.MULTILINE).strip()
    if not page.headline:
        questions = re.findall(r"[A-Z][^.?!]*\?", text.partition(PREDICT)[2])
        bold = [part for part in BOLD.findall(text) if len(part.split()) > 4 and part.endswith((".", "?", "!"))]
        page.headline = (questions or bold or [""])[0]
        text = text.replace(f"**{page.headline}**", "") if not questions else text.replace(page.headline, "")
    if shows:
        page.kind, page.body = "text", markdown(re.sub(r"\*\*Predict\.?\*\*", "", text).strip())


def from_code(page, cell, slide):
    """The same from a code cell: a quiz, an excerpt of the code, or what the code has put out."""
    asked = QUIZ.fullmatch(cell.source)
    if asked:
        from_quiz(page, find(asked[1]))
        return
    if "code" in slide:
        code = excerpt(cell.source, slide["code"])
        page.kind, page.lines = "code", code.count("\n") + 1
        page.body = f'<div class="code">{highlighted(code)}</div>'
    if slide.get("output", "code" not in slide):
        kind, html, title, _ = outcome(cell)
        if not kind:
            raise ValueError("it has no output to show: run the notebook, or show some of its code")
        page.kind = page.kind if page.lines else kind
        page.body += html
        page.headline = page.headline or title


def from_quiz(page, question):
    """The question's last sentence is the headline; which choice is right is said in the notes."""
    page.kind, html = "quiz", to_html(question)
    if not page.headline:
        last = re.search(r"(?:^|(?<=[.?!:] ))[^.?!:]+\?$", question.text)
        if last and len(last[0].split()) > 4:
            page.headline = last[0]
            html = html.replace(to_html(question).partition(" <i>")[0], f"<p>{inline(question.text[: last.start()])}", 1)
    page.body = html.replace("<p><b>Quiz.</b>", "<p>", 1).replace("<details>", f'<details name="{page.cell}">')
    right = [f"<b>{letter}</b>. {inline(choice.feedback)}" for letter, choice in question.lettered if choice.right]
    page.notes.append((1, f"<p><b>Right:</b> {' '.join(right)}</p>"))


def outcome(cell):
    """What a code cell has put out: (kind or "", HTML, the title of a figure, the rest as HTML for the notes)."""
    found = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        html, text = data.get("text/html", ""), output.get("text", data.get("text/plain", "")).strip()
        if "<img " in html:
            found.append(("figure", *figure(html)))
        elif "<table" in html:
            found.append(("table", table(html), "", ""))
        elif text:
            found.append(("printed", f"<pre>{ansi2html(text)}</pre>", "", ""))
    if not found:
        return "", "", "", ""
    best = min(found, key=lambda one: ["figure", "table", "printed"].index(one[0]))
    others = "".join(html for kind, html, *_ in found if kind != "figure" and html is not best[1])
    return best[0], best[1], best[2], best[3] + others


def figure(html):
    """(picture, its title, words for the notes) of a figure. The title is taken out: it is the headline, or in its place."""
    tag = re.search(r"<img [^>]*>", html)[0]
    about = {key: unescape(value) for key, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
    form, data = re.fullmatch(r"data:image/(\w+);base64,(.+)", about["src"]).groups()
    if "data-title-box" in about:
        data = untitled(data, form, [int(number) for number in about["data-title-box"].split()])
    alt, letters = escape(about.get("alt", "")), about.get("data-letters", "")
    caption = plain(re.search(r"<small>(.*?)</small>|$", html, re.DOTALL)[1] or "")
    picture = f'<img src="data:image/{form};base64,{data}" alt="{alt}" data-letters="{letters}">'
    return picture, " ".join(about.get("data-title", "").split()), f"<p>{caption}</p><p><b>To be seen:</b> {alt}</p>"


def untitled(data, form, box):
    """A picture in Base64 without the title in the box, and without the empty rows that this leaves at its top."""
    pixels = numpy.array(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    drawn, (left, top, right, bottom) = (abs(pixels - pixels[0, 0].astype(int)) > 8).any(2), box
    left, top, right = max(0, left - 2), max(0, top - 2), right + 2
    near = sorted(range(bottom - 8, bottom + 9), key=lambda row: abs(row - bottom))  # the box can be off by the letters' tails
    end = next((row for row in near if not drawn[row, left:right].any()), bottom)
    pixels[top:end, left:right], drawn[top:end, left:right] = pixels[0, 0], False
    buffer = io.BytesIO()
    first = max(0, int(drawn.any(1).argmax()) - 4)
    Image.fromarray(pixels[first:]).save(buffer, form, quality=90, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def table(html):
    """A table of pandas without the style that it brings along."""
    return re.sub(r'<style.*?</style>|</?div>| (?:border|style)="[^"]*"', "", html, flags=re.DOTALL).strip()


def remarks(cell, shown=None):
    """What the speaker gets of a cell, as (rank, HTML) pairs: its text if no page shows it, its code folded, its outcome."""
    if cell.cell_type == "markdown":
        text = SECTION.sub("", COMMENT.sub("", cell.source)).strip()
        rank = 0 if text.startswith(INSTRUCTOR) or cell.metadata.get("slideshow", {}).get("slide_type") == "notes" else 1
        return [] if shown and shown.kind == "text" else [(rank, markdown(text))]
    if cell.source.startswith("guess") or QUIZ.fullmatch(cell.source) or "setup" in cell.metadata.get("tags", []):
        return []
    code = [(2, f"<details><summary>Code</summary>{highlighted(cell.source)}</details>")]
    kind, html, _, more = outcome(cell)
    seen = "" if kind == "figure" or (shown and html in shown.body) else html
    return [(1 if kind == "figure" else 2, seen + more), *code]


# Texts


def filled(text, marks):
    """Text with `{03.scratch}` replaced by what stands between the notebook's marks of that name."""

    def value(found):
        if found[1] not in marks:
            raise ValueError(f"no mark {found[1]} in the notebook's texts, which have {', '.join(sorted(marks)) or 'none'}")
        return re.sub(r"\([^)]*\)", lambda interval: interval[0].replace(" ", "\u00a0"), marks[found[1]])

    return re.sub(r"\{([\w.-]+)\}", value, text)


def excerpt(source, ends):
    """Lines of code: all (`true`), or from the first that begins with ends[0] to the next that begins with ends[1]."""
    lines = source.strip().splitlines()
    if ends is True:
        return "\n".join(lines)
    if not (isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, str) for end in ends)):
        raise ValueError(f"code is true, or how the first and the last line begin, not {ends!r}")
    first = line_that_begins(lines, ends[0])
    last = line_that_begins(lines, ends[1], first)
    return textwrap.dedent("\n".join(lines[first : last + 1]))


def line_that_begins(lines, begin, start=0):
    for number in range(start, len(lines)):
        if lines[number].strip().startswith(begin):
            return number
    raise ValueError(f"no line of its code begins with {begin!r}")


def markdown(text):
    html = markdown2html(COMMENT.sub("", text)) if text.strip() else ""
    return re.sub(r'<a class="anchor-link".*?</a>', "", html).strip()


def inline(text):
    """Markdown of a line as HTML, without the paragraph around it."""
    return re.sub(r"^<p>|</p>$", "", markdown(text))


def highlighted(code):
    return Highlight2HTML(pygments_lexer="ipython3")(code)


def plain(html):
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())
