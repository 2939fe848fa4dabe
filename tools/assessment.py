"""Write the final assessment for students, and the key to it, from docs/instructors/solutions/assessment.md.

    python tools/assessment.py            writes build/assessment/sheet-1.md and key-1.md
    python tools/assessment.py 7          version 7: the choices of each question in another order

The sheet has neither marks nor reasons. Print it, or paste it into a form.
"""

import random
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/instructors/solutions/assessment.md"
HEAD = re.compile(r"(\d+) (.+?) \(lecture (\d)\)")
CHOICE = re.compile(r"^- ([✔✘]) (.+?) \*([^*]+)\*$", re.MULTILINE)


def questions(text):
    """[(number, title, lecture, question, [(right, choice, reason)])] of the page."""
    found = []
    for part in re.split(r"^## ", re.sub(r"<!-- /?[\w.-]+ -->", "", text), flags=re.MULTILINE)[1:]:
        title, question = (block.strip() for block in part.split("\n\n- ")[0].split("\n\n", 1))
        number, name, lecture = HEAD.fullmatch(title).groups()
        choices = [(mark == "✔", choice, reason) for mark, choice, reason in CHOICE.findall(part)]
        found.append((int(number), name, int(lecture), question, choices))
    return found


def written(text, version):
    """(sheet, key) of a version, as Markdown. The same version is the same sheet everywhere."""
    rng, sheet, key = random.Random(version), [f"# Assessment, version {version}\n\nName:\n"], [f"# Key to version {version}\n"]
    for number, _, lecture, question, choices in questions(text):
        mixed = list(zip("ABCD", rng.sample(choices, len(choices)), strict=False))
        (right,) = [letter for letter, choice in mixed if choice[0]]
        sheet += [f"**{number}.** {question}\n", *(f"- {letter}. {choice}" for letter, (_, choice, _) in mixed), ""]
        key += [f"**{number}: {right}** (lecture {lecture})\n", *(f"- {letter}. {why}" for letter, (_, _, why) in mixed), ""]
    return "\n".join(sheet), "\n".join(key)


def main(arguments):
    if len(arguments) > 1 or not all(argument.isdecimal() for argument in arguments):
        sys.exit(__doc__)
    version = int(arguments[0]) if arguments else 1
    folder = ROOT / "build/assessment"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip(("sheet", "key"), written(PAGE.read_text(encoding="utf-8"), version), strict=True):
        path = folder / f"{name}-{version}.md"
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
