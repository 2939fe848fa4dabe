"""Stored outputs of notebooks as a web page shows them: figures as files with their text, wide tables in a box that scrolls."""

import base64
import hashlib
import io
import re
from html import escape, unescape

from PIL import Image

DATA = re.compile(r'<img\b[^>]*?\bsrc="data:image/(?P<kind>\w+);base64,(?P<data>[^"]+)"[^>]*>')
ALT = re.compile(r'\balt="([^"]*)"')
TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
VIEW = "application/vnd.jupyter.widget-view+json"


class Figures:
    """The figures of all notebooks, each a file once. `first`: {page: (address from the root of the site, text)}."""

    def __init__(self, folder):
        self.folder, self.first = folder, {}

    def image(self, page, kind, data, alt):
        """Write a picture (base64) as a file; returns the HTML that shows it. Raises ValueError without a text."""
        if len(alt.strip()) < 20:
            raise ValueError(f"{page} shows a figure without a text that says what is to be seen: use helpers.show")
        content = base64.b64decode(data)
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)
        width, height = Image.open(io.BytesIO(content)).size
        address = f"_static/figures/{name}"
        self.first.setdefault(page, (address, escape(alt)))
        size = f'width="{width}" height="{height}" style="--width: {width}px"'
        image = f'<img src="{"../" * page.count("/")}{address}" alt="{escape(alt)}" {size} loading="lazy">'
        return f'<span class="picture">{image}</span>'

    def in_html(self, page, html):
        def filed(found):
            alt = ALT.search(re.sub(r'src="[^"]*"', "", found[0]))
            return self.image(page, found["kind"], found["data"], unescape(alt[1]) if alt else "")

        return DATA.sub(filed, html)


def shown(output, figures, page):
    """An output with its HTML made fit for a page; of several forms of a picture the one with a text."""
    data = output.get("data")
    if not data:
        return output
    data.pop(VIEW, None)
    for kind in ("png", "jpeg"):
        picture = data.pop(f"image/{kind}", None)
        if picture and "text/html" not in data:
            about = output.metadata.get(f"image/{kind}", {})
            alt = about.get("alt", "") if hasattr(about, "get") else ""
            image = figures.image(page, kind, picture, alt)
            data["text/html"] = f"<figure>{image}<figcaption><small>{escape(alt)}</small></figcaption></figure>"
    if "text/html" in data:
        data["text/html"] = readable(figures.in_html(page, data["text/html"]))
    return output


def readable(html):
    """HTML without the styles that pandas brings, with its tables in boxes that scroll, a quiz in a box of its own."""
    html = re.sub(r"<style scoped>.*?</style>\s*", "", html, flags=re.DOTALL)
    html = re.sub(r'<table border="1" class="dataframe">', '<table class="dataframe">', html)
    html = re.sub(r' style="text-align: right;"', "", html)
    box = '<div class="scroll" tabindex="0" role="region" aria-label="a table">'
    html = TABLE.sub(lambda found: f"{box}{found[0]}</div>", html)
    return f'<div class="quiz">{html}</div>' if html.startswith("<p><b>Quiz.</b>") else html
