"""The web edition (`make book`): complete, in words for those who cannot see, with links that lead somewhere, and sufficient
unto itself. Built once for all tests, with the network cut, and opened in a browser from the file system."""

import inspect
import json
import re
import socket
from html import unescape
from urllib.parse import unquote, urlsplit

import pytest
from project import ROOT, cells, each, name, notebooks, tags
from webpages import CONTRAST, LINKS, REMOTE, TEXTS, WIDER, Page, Site, loaded, picture, squeezed, styled, words

import helpers

pytestmark = pytest.mark.filterwarnings("ignore:'myst_parser:PendingDeprecationWarning")
for needed in ("sphinx", "myst_nb", "furo"):
    pytest.importorskip(needed, reason=f"{needed} comes with the extra teach")
import book  # noqa: E402
import students  # noqa: E402

NOTEBOOKS = notebooks("notebooks", "labs")
each_notebook = each(NOTEBOOKS)
KINDS = ["index", "notebooks/04_fine_tuning_well", "measured", "reference/the_training", "docs/architecture", "README"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out, tried = tmp_path_factory.mktemp("book") / "site", []

    def refuse(*arguments, **options):
        tried.append(arguments)
        raise OSError("the test has cut the network, and starts no kernels")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr("jupyter_client.manager.KernelManager.start_kernel", refuse)
        assert book.build(out) == 0, "Sphinx warned of what stands above"
    return Site(out, {path.relative_to(out).as_posix(): Page(path) for path in sorted(out.rglob("*.html"))}, tried)


def test_building_reaches_for_nothing_and_runs_no_notebook(site):
    assert site.tried == []


def test_every_lecture_lab_and_text_has_a_page_and_the_first_page_leads_to_it(site):
    texts = students.handed_out([name(path) for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("labs/*.md")]])
    wanted = {file.rpartition(".")[0] + ".html" for file in [*map(name, NOTEBOOKS), *texts]}
    wanted |= {"reference/index.html", "measured.html"}
    assert len(wanted) > 8 and wanted <= set(site.pages)
    assert not wanted - {href.partition("#")[0] for href in site.pages["index.html"].all("a", "href")}


def test_first_page_says_what_it_is_shows_what_came_out_and_where_to_begin(site):
    first, readme = site.pages["index.html"], (ROOT / "README.md").read_text(encoding="utf-8")
    headline = squeezed(re.search(r"<!-- headline -->(.*?)<!-- /headline -->", readme, re.DOTALL)[1])
    begin, result, path = (first.text.index(words) for words in ("Startwithlecture1", headline, "Thepath¶"))
    assert begin < result < path
    (alt,) = re.findall(r"!\[([^\]]*)\]\(docs/headline.png\)", readme.split("```")[0])  # before any command
    assert alt in first.all("img", "alt") and alt.index("photographs") < alt.index("laboratory")
    assert result < first.text.index("outputlayer") < path, "what a head is"
    assert first.html.count('class="step docutils container"') == len(re.findall(r"^\| \[", readme, re.MULTILINE)) >= 7


@each_notebook
def test_notebook_is_shown_with_all_its_code_and_its_stored_figures(site, path):
    page, figures = site.of(path), []
    for cell in cells(path, "code"):
        asks = cell.source.startswith("h.quiz(") and cell.outputs
        assert asks or squeezed(cell.source) in page.text, f"the code of cell {cell.id} is missing"
        for output in cell.outputs:
            html = re.sub(r'src="[^"]*"', "", output.get("data", {}).get("text/html", ""))
            figures += re.findall(r'<img[^>]*?\balt="([^"]+)"', html)
    assert [unescape(alt) for alt in figures] == [alt for alt in page.all("img", "alt") if alt in set(map(unescape, figures))]
    copies = [page.path.parent / href for href in page.all("a", "href") if href.endswith(f"/{path.name}")]
    assert any(copy.read_bytes() == students.content(ROOT, name(path)) for copy in copies), "it can be downloaded"


def test_every_public_helper_has_an_entry_with_its_first_sentence_and_so_have_the_instruments_of_lessons(site):
    from edition.docstrings import lessons  # where book has put it

    entries = {id_: page for address, page in site.pages.items() if address.startswith("reference/") for id_ in page.ids}
    for public in helpers.__all__:
        value = getattr(helpers, public)
        said = re.split(r"[.:;(]", inspect.getdoc(value).replace("`", ""))[0] if callable(value) else ""
        assert squeezed(said) in entries[f"helpers.{public}"].text, f"{public}: {said}"
    for lesson, package in lessons().items():
        missing = {name for name in package.__all__ if f"helpers.lessons.{lesson}.{name}" not in entries}
        assert len(lessons()) >= 10 and not missing, lesson


def test_helpers_in_the_code_of_a_notebook_lead_to_their_entry(site):
    assert "../reference/the_model.html#helpers.freeze" in site.pages["notebooks/02_anatomy_of_a_transfer.html"].all("a", "href")
    museum = site.pages["labs/lab4_bug_museum.html"].all("a", "href")
    assert "../reference/lectures_and_labs.html#helpers.lessons.museum.predict" in museum


def test_shipped_studies_are_shown_with_the_lectures_that_use_them(site):
    page = site.pages["measured.html"]
    for path in ROOT.glob("helpers/data/study-*.json"):
        told = path.stem not in ("study-museum", "study-contest")  # what labs ask students to find out
        assert (squeezed(json.loads(path.read_text())["question"][1:]) in page.text) == told
    assert page.text.count("Usedin") >= 10 and "notebooks/03_variants.html" in page.all("a", "href")


# Blanks and no answers; what is not for reading is folded


def test_no_file_of_the_site_holds_an_answer(site):
    assert not list(site.out.rglob("solutions*"))
    for path in site.out.rglob("*"):
        if path.suffix in (".html", ".js", ".ipynb", ".md", ".txt"):
            text = path.read_text(encoding="utf-8")
            assert "BEGIN SOLUTION" not in text and "or the instructor" not in text, path
    assert not [address for address in site.pages if "instructor" in address or "presenting" in address]


def test_the_instructors_edition_has_the_solutions_their_pages_and_the_notes(tmp_path):
    assert book.build(tmp_path / "site", instructors=True) == 0, "Sphinx warned of what stands above"
    pages = {path.relative_to(tmp_path / "site").as_posix() for path in tmp_path.rglob("*.html")}
    texts = [*ROOT.glob("docs/*.md"), *ROOT.glob("docs/instructors/**/*.md"), *notebooks("solutions")]
    assert len(texts) > 15 and not {name(path).rpartition(".")[0] + ".html" for path in texts} - pages
    for path in notebooks("notebooks"):
        html = (tmp_path / "site" / name(path)).with_suffix(".html").read_text(encoding="utf-8")
        assert html.count("<summary>For the instructor</summary>") == sum(map(students.is_note, cells(path, "markdown"))), path


@each_notebook
def test_setup_and_outcomes_of_guesses_are_folded_and_quizzes_need_no_script(site, path):
    html = site.of(path).html
    shown = [cell for cell in students.outcomes(cells(path)) if cell.outputs]
    assert html.count("hide-output") >= len(shown)
    before, after = html.split("<summary>On Google Colab</summary>")
    folded, _, rest = after.partition("</details>")
    (setup,) = [cell.source for cell in cells(path, "code") if "setup" in tags(cell)]
    assert squeezed(setup) in words(folded) and squeezed(setup) not in words(before) + words(rest)
    asked = [cell for cell in cells(path, "code") if "h.quiz(" in cell.source and cell.outputs]
    assert html.count('<div class="quiz">') == len(asked)
    assert not re.search(r"<!-- /?(?:colab|\d\d\.)", html), "the marks of tests and tools stay at home"


# Pictures in words, links that lead somewhere, nothing from elsewhere


def test_every_picture_has_words_that_are_no_file_name(site):
    pictures = [about for page in site.pages.values() for tag, about in page.elements if tag == "img"]
    assert len(pictures) > 50
    bare = [about for about in pictures if re.search(r"^.{0,19}$|\.(png|jpe?g|svg)$", about.get("alt") or "")]
    assert not [about for about in bare if about["alt"] != "Open in Colab"]  # a badge


def test_every_internal_link_and_anchor_leads_somewhere(site):
    out, checked = site.out.resolve(), 0
    for address, page in site.pages.items():
        for link in (link for tag, attribute in LINKS.items() for link in page.all(tag, attribute)):
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto", "data"):
                continue
            target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path.resolve()
            assert target.is_file() and target.is_relative_to(out), f"{address} links to {link}"
            if parts.fragment and target.suffix == ".html":
                ids = site.pages[target.relative_to(out).as_posix()].ids
                assert unquote(parts.fragment) in ids, f"{address} links to {link}, which that page does not have"
            checked += 1
    assert checked > 1000


def test_nothing_is_loaded_from_elsewhere(site):
    sources = {address: loaded(page) for address, page in site.pages.items()}
    sources |= {sheet.name: styled(sheet.read_text(encoding="utf-8")) for sheet in site.out.rglob("*.css")}
    assert len(sources) >= len(site.pages) + 3
    assert not {place: remote for place, found in sources.items() if (remote := [s for s in found if REMOTE.match(s)])}


# In a browser, from the file system


@pytest.fixture
def visit(browser, site):
    """visit("index", width=390): the page, opened; in the end nothing has been asked of the network, nor gone wrong."""
    wrong, contexts = [], []

    def opened(address, width=1280, height=800, **settings):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **settings))
        tab = contexts[-1].new_page()
        tab.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
        tab.on("console", lambda message: message.type == "error" and wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto((site.out / f"{address}.html").as_uri())
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def test_on_a_phone_nothing_but_code_tables_and_figures_scrolls_sideways(visit, site):
    labs = [name(path).removesuffix(".ipynb") for path in NOTEBOOKS if path.parent.name == "labs"]
    tab, boxes = visit(KINDS[0], 390, 844), 0
    picture(tab, "phone")
    for address in KINDS + labs[:1]:
        tab.goto((site.out / f"{address}.html").as_uri())
        assert tab.evaluate(WIDER) == [], f"{address} is wider than a phone"
        boxes += tab.evaluate("[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth).length")
    assert boxes > 0, "wide tables scroll in their box"


def test_search_finds_the_lecture_that_a_word_is_in(visit):
    tab = visit("reference/index")
    tab.fill(".sidebar-search", "BatchNorm")
    tab.press(".sidebar-search", "Enter")
    tab.wait_for_selector("ul.search li a")
    picture(tab, "search")
    assert "Lecture 4: fine-tuning well" in tab.locator("ul.search li a").all_inner_texts()
    tab.click("ul.search li a:has-text('Lecture 4')")
    tab.wait_for_selector("h1")
    assert tab.inner_text("h1").startswith("Lecture 4")


@pytest.mark.parametrize("address", ["index", "notebooks/01_transfer_vs_self_supervised", "labs/lab4_bug_museum", "docs/glossary",
                                     "reference/the_model"])  # fmt: skip
def test_axe_finds_nothing_that_keeps_anybody_out(visit, address):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core comes with the extra test")
    found = axe.Axe().run(visit(address), options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})
    assert [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found.response["violations"]] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_and_figures_keep_their_white_ground_in_light_and_dark(visit, scheme):
    tab = visit(KINDS[1], color_scheme=scheme)
    contrast = dict(zip(TEXTS, tab.evaluate(CONTRAST, TEXTS), strict=True))
    assert min(contrast.values()) >= 4.5, contrast
    assert tab.evaluate("getComputedStyle(document.querySelector('.picture img')).backgroundColor") == "rgb(255, 255, 255)"
    picture(tab, scheme)


def test_formulas_are_set_in_two_dimensions_without_a_script(visit, site):
    tab = visit("notebooks/04_fine_tuning_well")
    above, below = (tab.locator(f"mfrac > :nth-child({n})").first.bounding_box() for n in (1, 2))
    assert above["y"] + above["height"] <= below["y"] + 2 and below["height"] > 4
    assert not [source for page in site.pages.values() for source in page.all("script", "src") if "mathjax" in source.lower()]


def test_glossary_and_cheat_sheet_print_on_a_page_each(visit):
    for page in ("docs/glossary", "docs/cheat_sheet"):
        assert re.findall(rb"/Count (\d+)", visit(page).pdf(format="A4")) == [b"1"], page
