"""The course in a real JupyterLab, in a real browser, without a network: pages run, and what is to be pressed works.

Every cell of every lecture and solution runs, but trainings stop after a few steps here (tests/short): that notebooks
run with their real budget, nbval tests. Pictures are kept in build/screenshots, with COURSE_PICTURES=whole from top to
bottom. The classes may run at once, on two cores.
"""

import re

import nbformat
import pytest
from project import name, notebooks

browser = pytest.importorskip("browser", reason="the browser tests need Playwright: pip install playwright")
pytest.importorskip("jupyterlab", reason="the browser tests need JupyterLab: pip install jupyterlab")
pytestmark = pytest.mark.skipif(browser.why_not() is not None, reason=str(browser.why_not()))

BY_HAND = ("notebooks/explorer.ipynb", "solutions/lab3_your_own_images.ipynb")  # their tests press things, too
PAGES = {folder: [name(path) for path in notebooks(folder) if name(path) not in BY_HAND] for folder in ("notebooks", "solutions")}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jupyterlab")
    with browser.jupyterlab(folder) as address, browser.chromium() as chromium:
        page = browser.Lab(chromium, address)
        page.folder = folder
        yield page


def code_cells(lab, path):
    """Of the copy that is open."""
    return [cell for cell in nbformat.read(lab.folder / "root" / path, as_version=4).cells if cell.cell_type == "code"]


def hold(lab, path, cells):
    """What has to hold of a page whose cells have all run: no error, quizzes are widgets, pictures are there with a text."""
    assert not list(browser.failures(cells))
    assert [cell["count"] for cell in cells] == list(range(1, len(code_cells(lab, path)) + 1))
    quizzes = sum("h.quiz(" in cell.source for cell in code_cells(lab, path))
    lab.page.wait_for_function("n => document.querySelectorAll('.course-quiz').length == n", arg=quizzes)
    assert lab.pictures() and all(picture["wide"] > 0 and picture["alt"] for picture in lab.pictures())
    quiet(lab)


def quiet(lab):
    """Nobody complained to the console, and the page did not look beyond this machine (of kernels, the whole run says so)."""
    assert not lab.errors
    assert not lab.outside


def run_and_hold(lab, path):
    lab.open(path)
    cells = lab.run()
    lab.whole_picture(path.partition("/")[2].removesuffix(".ipynb"))
    hold(lab, path, cells)


class TestLectures:
    @pytest.mark.parametrize("path", PAGES["notebooks"])
    def test_lecture_runs_shows_its_quizzes_and_figures_and_complains_of_nothing(self, lab, path):
        run_and_hold(lab, path)

    @pytest.mark.parametrize("path", ["notebooks/03_variants.ipynb", "notebooks/explorer.ipynb"])
    def test_axe_finds_nothing_in_texts_figures_quizzes_and_the_explorer_that_keeps_anybody_out(self, lab, path):
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core comes with the extra test")
        lab.open(path)
        lab.run()
        ours = {"include": [".jp-OutputArea-output", ".jp-RenderedMarkdown"]}  # the rest is JupyterLab's own
        rules = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
        found = axe.Axe().run(lab.page, context=ours, options={"runOnly": rules, "preload": False})
        assert [(rule["id"], len(rule["nodes"]), rule["nodes"][0]["html"][:300]) for rule in found.response["violations"]] == []


class TestLabs:
    @pytest.mark.parametrize("path", PAGES["solutions"])
    def test_solution_runs_shows_its_quizzes_and_figures_and_complains_of_nothing(self, lab, path):
        run_and_hold(lab, path)

    def test_page_of_lab3_names_a_picture_by_the_network_that_was_just_trained_and_refuses_a_text(self, lab, tmp_path):
        path = "solutions/lab3_your_own_images.ipynb"
        lab.open(path)
        hold(lab, path, lab.run())
        page = lab.page.context.browser.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(lab.cell("page").get_by_role("link").get_attribute("href"))
        picture = sorted(lab.folder.glob("root/solutions/hot_dogs/hot dog/*.jpg"))[0]
        page.get_by_label("Choose a picture").set_input_files(picture)
        page.locator("meter").nth(1).wait_for()
        assert re.fullmatch(r"(not )?hot dog \(\d+%\)", page.locator("#answer").inner_text())
        lab.picture("lab3-page", page)
        letter = tmp_path / "letter.png"
        letter.write_text("Dear network, what is this?")
        page.get_by_label("Choose a picture").set_input_files(letter)
        page.get_by_text("No answer: the image: cannot be decoded").wait_for()
        assert all(url.startswith(("blob:", "http://127.0.0.1:")) for url in asked)
        page.close()
        quiet(lab)


class TestByHand:
    def test_check_of_a_lab_tells_a_blank_a_wrong_answer_and_a_right_one_apart(self, lab):
        lab.open("labs/lab1_flowers.ipynb")
        answer = "def with_new_head(model, num_classes):\n    model = copy.deepcopy(model)\n    {}\n    return model"
        said = []
        new = "model.classifier = nn.Linear(model.classifier.in_features, num_classes)"
        for line in (None, "model.classifier.out_features = num_classes", new):
            if line:
                lab.write("head", answer.format(line))
            lab.run_only("imports", "head", "head-check")
            said.append(lab.cell("head-check").locator(".jp-OutputArea").inner_text())
        blank, wrong, right = said
        assert "not yet" in blank and "This part is yours" in blank, blank
        assert "not yet" in wrong and "This part is yours" not in wrong and "hint" in wrong, wrong
        assert "passed" in right and "not yet" not in right, right
        lab.picture("lab-check", lab.cell("head-check"))
        quiet(lab)

    def test_quiz_tells_a_wrong_answer_why_a_right_one_that_and_gives_a_hint(self, lab):
        lab.open("notebooks/00_start_here.ipynb")
        lab.run_only("setup", "quiz")
        quiz = lab.cell("quiz").locator(".course-quiz")
        quiz.wait_for()
        said = quiz.locator("[role=alert]")
        quiz.get_by_role("button", name="Check my answer").click()
        said.get_by_text("Answer first").wait_for()
        quiz.get_by_role("button", name="Hint").click()
        said.get_by_text("Hint.").wait_for()
        verdicts = {}
        for choice in quiz.get_by_role("radio").all():
            choice.check()
            before = said.inner_text()
            quiz.get_by_role("button", name="Check my answer").click()
            lab.until(lambda before=before: said.inner_text() != before)
            verdicts.setdefault(said.locator("b").first.inner_text(), []).append(said.inner_text())
            lab.picture(f"quiz-{len(verdicts)}", quiz)
        (right,) = [texts for verdict, texts in verdicts.items() if verdict.startswith("Right")]
        wrong = [text for verdict, texts in verdicts.items() if not verdict.startswith("Right") for text in texts]
        assert len(right) == 1 and len(wrong) >= 2 and len({*right, *wrong}) == len([*right, *wrong])
        quiet(lab)

    def test_explorer_answers_a_slider_trains_shows_the_run_and_cancels(self, lab):
        path = "notebooks/explorer.ipynb"
        lab.open(path)
        hold(lab, path, lab.run())
        explorer = lab.page.locator(".course-explorer").first
        part = lambda what: explorer.locator(f".explorer-{what}")
        drawn = lambda what: part(what).evaluate("part => part.outerHTML")  # a picture's address is in it
        handle = part("depth").locator(".noUi-handle")
        for key in ("ArrowRight", "ArrowLeft"):  # numbers and figure follow, there and back
            before = part("numbers").inner_text(), drawn("network")
            handle.press(key)
            lab.until(lambda before=before: part("numbers").inner_text() != before[0] and drawn("network") != before[1])
        lab.picture("explorer", explorer)

        rows, curves = part("runs").locator("tr").count(), drawn("curves")
        part("train").click()
        lab.until(lambda: "is done" in part("said").inner_text(), seconds=90)
        lab.until(lambda: part("runs").locator("tr").count() == rows + 1 and drawn("curves") != curves)
        lab.picture("explorer-trained", explorer)

        handle.press("Home")  # everything trains: long enough to be stopped
        part("train").click()
        lab.until(lambda: "training" in part("step").inner_text())
        part("cancel").click()
        lab.until(lambda: "Cancelled" in part("said").inner_text())
        assert part("runs").locator("tr").count() == rows + 1, "nothing is kept of a run that was cancelled"
        quiet(lab)

    def test_page_that_looks_outside_would_be_noticed(self, lab):
        """The other tests claim that nothing does: so it must show here when something does."""
        lab.page.evaluate("fetch('https://example.org/script.js').catch(() => 0)")
        lab.until(lambda: lab.errors and lab.outside == ["https://example.org/script.js"])
        lab.errors.clear(), lab.outside.clear()
