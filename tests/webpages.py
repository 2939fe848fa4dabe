"""Built pages of the web edition, as its tests read them."""

import re
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

from project import ROOT, name

LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src",
         "object": "data", "link": "href", "use": "href"}  # fmt: skip
LINKS = {"a": "href", "link": "href", "img": "src", "script": "src"}
REMOTE = re.compile(r"\s*(https?:)?//")


class Page(HTMLParser):
    """A built page: its elements with their attributes, and its text."""

    def __init__(self, path):
        super().__init__()
        self.path, self.elements, self.html = path, [], path.read_text(encoding="utf-8")
        self.feed(self.html)
        self.ids = {attributes["id"] for _, attributes in self.elements if attributes.get("id")}
        self.text = words(self.html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def all(self, tag, attribute):
        return [attributes[attribute] for kind, attributes in self.elements if kind == tag and attributes.get(attribute)]


def words(html):
    """What HTML says, without white space."""
    return squeezed(unescape(re.sub(r"<[^>]+>", "", html)))


def squeezed(text):
    """Text without white space, which pages break in other places."""
    return re.sub(r"\s+", "", text)


def loaded(page):
    """The addresses that a browser fetches by itself to show a page."""
    found = [attributes.get(LOADS[tag]) or "" for tag, attributes in page.elements if tag in LOADS]
    found += [address for _, attributes in page.elements for address in re.split(r"[\s,]+", attributes.get("srcset") or "")]
    styles = [attributes.get("style") or "" for _, attributes in page.elements]
    return found + styled("\n".join(styles + re.findall(r"<style[^>]*>(.*?)</style>", page.html, re.DOTALL)))


def styled(css):
    """The addresses that a style sheet makes a browser fetch."""
    found = re.findall(r"url\(([^)]*)\)|@import\s+(?:url\()?([^;)]+)", css)
    return [address.strip("\"' ") for pair in found for address in pair if address]


@dataclass
class Site:
    """A built web edition: where it is, {address: Page}, and what building it tried to reach or to start."""

    out: Path
    pages: dict
    tried: list

    def of(self, notebook):
        return self.pages[f"{name(notebook).removesuffix('.ipynb')}.html"]


def picture(tab, title):
    """Keep what the browser shows, for people to look at."""
    folder = ROOT / "build/screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=folder / f"book-{title}.png")


# JavaScript: the parts of a page that are wider than the window; the contrast of the words of elements to what is behind them
WIDER = """() => ['html', 'body', '.content'].filter(name => {
  const box = document.querySelector(name); return box.scrollWidth > Math.min(box.clientWidth, innerWidth) + 1; })"""
CONTRAST = """names => names.map(name => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = box => {
    const c = rgb(getComputedStyle(box).backgroundColor);
    return c.length < 4 || c[3] > 0 ? c : ground(box.parentElement); };
  const box = document.querySelector(name);
  const pair = [rgb(getComputedStyle(box).color), ground(box)].map(light).sort((a, b) => b - a);
  return (pair[0] + .05) / (pair[1] + .05); })"""
TEXTS = ["article p", ".quiz summary", ".scroll td", ".scroll th", ".cell_output pre", ".cell_input pre", "figcaption small",
         "details.fold > summary", ".run-it p"]  # fmt: skip
