"""The texts: what they tell people to type exists, so does what they link to, and they hold no debris."""

import ipaddress
import re
from urllib.parse import urlsplit

import pytest
import yaml
from project import ADDRESS, MAKEFILE, ROOT, name, project_files, prose

TEXTS = {name(path): (path, text) for path, text in prose()}
TARGETS = re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE).group(1).split()
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^()\s]+)\)")


def contents():
    """(name, text) of every file of the project that is text."""
    for path in project_files():
        try:
            yield name(path), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def urls():
    """(name, address) of every web address in the project."""
    for file, text in contents():
        for url in re.findall(r"https?://[\w.-][^\s\"'<>)`\\]*", text):
            yield file, url


def commands(text):
    """What a text asks people to type: in backticks, or as a line of its own."""
    typed = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^make .*$", text, re.MULTILINE)
    return [command.split("#")[0].strip() for command in typed]


def test_readme_shows_the_two_commands_first():
    first_block = README.split("```")[1]
    lines = first_block.strip().splitlines()
    assert [line.split("#")[0].strip() for line in lines] == ["make lab", "make test"]


@pytest.mark.parametrize("text", TEXTS)
def test_make_commands_in_the_texts_exist(text):
    for command in commands(TEXTS[text][1]):
        if re.match(r"make [a-z]", command):
            assert command.split()[1] in TARGETS, f"{text} has `{command}`, which the Makefile lacks"
        for option in re.findall(r"^(?:make .*?)?\b([A-Z]+)=\S", command):
            assert re.search(rf"\$\({option}\)", MAKEFILE), f"{text}: the Makefile knows no {option}="


def test_scripts_and_modules_in_texts_and_makefile_exist():
    for source, text in [("Makefile", MAKEFILE)] + [(key, text) for key, (_, text) in TEXTS.items()]:
        for script in re.findall(r"tools[/\\]\w+\.py", text):
            assert (ROOT / script.replace("\\", "/")).is_file(), f"{source} names {script}"
        for module in re.findall(r"-m helpers\.(\w+)", text):
            assert (ROOT / "helpers" / f"{module}.py").is_file(), f"{source} names helpers.{module}"


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
