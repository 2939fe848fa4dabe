"""The texts: what they tell people to type exists, so does what they link to; their examples run; they hold no debris."""

import ipaddress
import re
from functools import cache
from urllib.parse import urlsplit

import pytest
import yaml
from PIL import Image
from project import ADDRESS, MAKEFILE, ROOT, name, project_files, prose

TEXTS = {name(path): (path, text) for path, text in prose()}
TARGETS = re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE).group(1).split()
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^()\s]+)\)")


@cache
def contents():
    """[(name, text)] of every file of the project that is text."""
    found = []
    for path in project_files():
        try:
            found.append((name(path), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


@cache
def urls():
    """[(name, address)] of every web address in the project."""
    address = re.compile(r"https?://[\w.-][^\s\"'<>)`\\]*")
    return [(file, url) for file, text in contents() for url in address.findall(text.replace(r"\.", "."))]  # in a pattern


def commands(text):
    """What a text asks people to type: in backticks, or as a line of its own."""
    typed = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^make .*$", text, re.MULTILINE)
    return [command.split("#")[0].strip() for command in typed]


def test_readme_shows_the_two_commands_first():
    lines = "".join(README.split("```")[1:4:2]).strip().splitlines()
    assert [line.split("#")[0].strip() for line in lines if line] == ["make lab", "make test"]


def test_readme_is_short_and_leads_to_every_page_of_the_docs():
    assert len(README.splitlines()) <= 177, "it is what a visitor reads first: let docs/ take the rest"
    linked = {target.partition("#")[0] for _, _, target in LINK.findall(README)}
    assert {name(path) for path in ROOT.glob("docs/*.md")} | {"CONTRIBUTING.md", "docs/instructors/README.md"} <= linked


@pytest.mark.parametrize("text", TEXTS)
def test_commands_and_files_that_a_text_names_exist(text):
    words = TEXTS[text][1]
    for command in commands(words):
        if re.match(r"make [a-z]", command):
            assert command.split()[1] in TARGETS, f"{text} has `{command}`, which the Makefile lacks"
        for option in re.findall(r"^(?:make .*?)?\b([A-Z]+)=\S", command):
            assert re.search(rf"\$\({option}\)", MAKEFILE), f"{text}: the Makefile knows no {option}="
    paths = re.findall(r"`((?:helpers|tools|tests|docs|notebooks)/[\w/.]+)`", words) + re.findall(r"tools[/\\]\w+\.py", words)
    missing = {path for path in paths if path == path.lower() and not (ROOT / path.replace("\\", "/")).exists()}
    assert not missing, f"{text} names what does not exist"  # in capitals: LECTURE, NAME, to be replaced


def test_scripts_of_the_makefile_exist():
    assert not [script for script in re.findall(r"tools/\w+\.py", MAKEFILE) if not (ROOT / script).is_file()]


EXAMPLES = [file for file, (_, text) in TEXTS.items() if file.endswith(".md") and "```python\nimport" in text]


@pytest.mark.parametrize("file", EXAMPLES)
def test_examples_in_a_text_run(file, tmp_path, monkeypatch):
    """In one go, in a folder with images of two classes, and with fewer steps than a reader takes."""
    import helpers

    for label, kind in enumerate(("robin", "wren")):
        (tmp_path / "my_birds" / kind).mkdir(parents=True)
        images, _ = helpers.render("goldfinches", [label] * 40, range(40), size=64)
        for number, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"my_birds/{kind}/{number}.png")
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXTS[file][1], re.DOTALL))
    scope = {"__name__": "__main__"}
    code = re.sub(r"(steps)=\d+", r"\1=2", code).replace("per_class=20", "per_class=20, size=64")
    exec(code, scope)
    if "h.Thaw" in code:
        parameters = scope["trainer"].lightning_module.model.named_parameters()
        trained = {name.split(".")[0] for name, parameter in parameters if parameter.requires_grad}
        assert scope["trainer"].current_epoch == 6 and trained == {"blocks", "conv_head", "bn2", "classifier"}
    if ".save(" in code:
        assert helpers.load_classifier("my_birds.safetensors").classes == ["robin", "wren"]


def anchors(path):
    """The anchors of a Markdown file's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("text", TEXTS)
def test_relative_links_lead_somewhere(text):
    path, words = TEXTS[text]
    for _, label, target in LINK.findall(words):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), f"{text}: the link [{label}]({target}) leads nowhere"
        assert found.is_relative_to(ROOT), f"{text}: the link [{label}]({target}) leaves the project"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{text}: {target} has no such heading"


@pytest.mark.parametrize("text", TEXTS)
def test_pictures_have_alternative_text(text):
    for picture, label, target in LINK.findall(TEXTS[text][1]):
        assert not picture or len(label) > 20, f"{text}: say in words what {target} shows"
    assert "<img" not in TEXTS[text][1]


def test_address_of_the_project_is_the_one_of_pyproject():
    for file, url in urls():
        ours = urlsplit(url).path.rstrip("/").removesuffix(".git").endswith("/transfer-learning-course")
        assert not ours or url.rstrip("/").removesuffix(".git") == ADDRESS, f"{file} has {url}, not {ADDRESS}"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["url"] == ADDRESS


def test_every_measured_number_has_been_filled_in():
    marker = "<!-- " + "MEASURE"
    left = [file for file, text in contents() if marker in text]
    assert not left, f"numbers still to be measured, see the comments in {left}"


def test_no_file_holds_a_path_of_somebodys_machine():
    folders = "home|root|work|workspace|tmp|opt|mnt|srv|media|scratch|Users|private"
    absolute = re.compile(rf"(?<![\w.~:/$}})\]-])/(?:{folders})/[\w.]|\b[A-Z]:\\+(?:Users|Temp)\b")
    for file, text in contents():
        found = absolute.search(text.replace("/tmp/colab-has.txt", ""))  # in the setup cell, on Colab
        assert not found, f"{file} holds the path {text[found.start() : found.start() + 40]!r}"


def test_addresses_are_public_or_this_machine():
    for file, url in urls():
        host = urlsplit(url).hostname or ""
        try:
            fine = ipaddress.ip_address(host).is_loopback
        except ValueError:
            private = host.rpartition(".")[2] in {"local", "internal", "lan", "corp", "home"}
            fine = host == "localhost" or ("." in host and not private)
        assert fine, f"{file} names the host of {url}"
