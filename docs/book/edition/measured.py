"""The page of the shipped studies: every number that the lectures quote, with its interval and how it was measured."""

import re

import helpers as h
from edition.outputs import readable

INTRO = """# What was measured

Every number that the lectures quote comes from one of these studies. They come with the course, and
`helpers.load_study` opens them. Accuracy is in % of test images; *low* to *high* is its 95% interval over seeds and
test images; *n* is the number of test images a seed. Two rows of a study share their seeds and images, so their
difference is known better than the two intervals suggest: ask `study.paired(...)`.

The comparisons behind the figure on the first page are on the [page of the source models]({models}).
"""


def measured_page(root, notebooks, left_out=()):
    """Markdown. notebooks: {path: (title, text)}, searched for the studies that they use. left_out: names of studies."""
    parts = [INTRO.format(models="docs/source_model.md#what-it-is-good-for")]
    for path in sorted((root / "helpers/data").glob("study-*.json")):
        name = path.stem.removeprefix("study-")
        if name in left_out:
            continue
        study = h.load_study(name)
        users = [f"[{title}]({page})" for page, (title, text) in notebooks.items() if f'load_study("{name}"' in text]
        about = study.about
        made = f" Measured by `{about['command']}`, {about['date']}, on {about['hardware']}." if "command" in about else ""
        used = f" Used in {' and '.join(users)}." if users else ""
        table = readable(study.table().to_html(classes="dataframe", border=0))
        rows = len(study.table())
        question, state = study.question[0].upper() + study.question[1:], " open" if rows <= 14 else ""
        parts += [
            f"## {question}",
            f'`h.load_study("{name}")`: {len(study.runs)} runs, seeds {about["seeds"]}.{used}{made}',
            f'<details class="fold"{state}><summary>{rows} conditions</summary>\n{_flat(table)}\n</details>',
        ]
    return "\n\n".join(parts) + "\n"


def _flat(html):
    """HTML without the empty lines that would end a block of it in Markdown."""
    return re.sub(r"\n\s*", "", html)
