"""Put minutes and clock into docs/instructors/plans.md, from the lectures' notes and the labs' pages.

    python tools/minutes.py            writes them, and names what does not agree
    python tools/minutes.py --check    only names it

A lecture's minutes stand in its notes: "**For the instructor.** 8 minutes ..."; a section without any belongs to the one before.
A lab's stand in the table "## Minutes" of its page. A row of a plan holds items with ";" between them:

    | 9:15 | 45 | Lecture 2, section 5 *Freezing, and the trap*; Lab 1, part 2; *break* (10) | why |

An item names a lecture, a lab or a row of README.md ("Start here"), whole or in parts, or it ends with minutes of its own in
parentheses. A section goes by its title, in italics; the number before it is written here, as are minutes, clock and "**sum**".
The first row of a table sets the clock.
"""

import re
import sys
from functools import cache
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
PLANS = ROOT / "docs/instructors/plans.md"
ROW = re.compile(r"^\| (?P<at>[^|]*?) \| (?P<minutes>[^|]*?) \| (?P<what>[^|]+?) \|(?P<rest>.*)$")
OWN = re.compile(r"\((\d+)\)$")


@cache
def lecture(number):
    """{section: minutes} of a lecture, in its order; sections that share their minutes are told as "1+2"."""
    (path,) = ROOT.glob(f"notebooks/0{number}_*.ipynb")
    minutes, section = {}, None
    for cell in nbformat.read(path, as_version=4).cells:
        if found := re.match(r"## (?:(\d+) )?", cell.source) if cell.cell_type == "markdown" else None:
            section = found[1] or section
        if section and cell.source.startswith("**For the instructor"):
            first = re.split(r"\.\s", cell.source.partition("**For the instructor.** ")[2])[0]
            told = sum(map(int, re.findall(r"(\d+) (?:minutes|for)\b", first)))
            minutes[section] = minutes.get(section, 0) + told
    joined = []
    for section, told in minutes.items():
        if told:
            joined.append(([section], told))
        elif joined:
            joined[-1][0].append(section)
    return {"+".join(sections): told for sections, told in joined}


@cache
def titles(number):
    """{title: number} of a lecture's sections."""
    (path,) = ROOT.glob(f"notebooks/0{number}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    return {found[2]: found[1] for cell in cells if (found := re.match(r"## (\d+) (.+)", cell.source))}


@cache
def lab(number):
    """({part: minutes}, the parts of the core) of a lab, from its page."""
    (path,) = ROOT.glob(f"docs/instructors/lab{number}_*.md")
    table = path.read_text(encoding="utf-8").split("## Minutes")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|*]+?) \| (\d+) \|(.*)", table, re.MULTILINE)
    parts = {re.match(r"\d+|.+", part)[0].lower(): int(told) for part, told, _ in rows}
    optional = {re.match(r"\d+|.+", part)[0].lower() for part, _, rest in rows if "optional" in part + rest}
    return parts, [part for part in parts if part not in optional]


@cache
def overview():
    """{title: minutes} of the table in README.md."""
    rows = re.findall(r"^\| \[([^\]]+)\]\([^|]+\|[^|]+\| (\d+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {title.partition(":")[0].removeprefix("The ").lower(): int(told) for title, told in rows}


def numbered(item):
    """An item of a plan with the numbers that its sections have. Raises ValueError for a title that the lecture does not have."""

    def by_title(section):
        if section[2] not in titles(found[1]):
            raise ValueError(f"lecture {found[1]} has no section {section[2]!r}; it has {', '.join(titles(found[1]))}")
        return f"{titles(found[1])[section[2]]} *{section[2]}*"

    found = re.match(r"Lecture (\d), ", item)
    return re.sub(r"(\d+) \*([^*]+)\*", by_title, item) if found else item


def chosen(words, parts):
    """The parts that words such as "sections 1, 3 to 5 and the lamp" name. Raises KeyError for one that does not exist."""
    names = []
    for word in re.split(r", | and ", re.sub(r"\b(?:sections?|parts?|rooms?) ", "", words.lower())):
        low, _, high = word.partition(" to ")
        names += list(map(str, range(int(low), int(high) + 1))) if high else [word]
    holder = {name: part for part in parts for name in (part, *part.split("+"))}
    return dict.fromkeys(holder[name] for name in names)


def minutes(item):
    """The minutes of one item of a plan. Raises ValueError for what is neither a part of the course nor has minutes."""
    if own := OWN.search(item):
        return int(own[1])
    found = re.fullmatch(r"(lecture|lab) (\d)(?:, (.+))?", re.sub(r" \*[^*]+\*", "", item.lower()))
    try:
        if not found:
            return overview()[item.lower().removeprefix("the ")]
        parts, core = (lecture(found[2]), []) if found[1] == "lecture" else lab(found[2])
        names = core if found[3] == "core" else chosen(found[3], parts) if found[3] else parts
        return sum(parts[name] for name in names)
    except (KeyError, ValueError):
        raise ValueError(f"no minutes for {item!r}: name parts that exist, or write minutes behind it, such as (10)") from None


def clock(total):
    return f"{total // 60}:{total % 60:02}"


def planned(text):
    """The text of the plans with the minutes and the clock of every row, and the sums, written anew."""
    lines, start, total = [], 0, 0
    for line in text.split("\n"):
        row = ROW.match(line)
        if row and re.fullmatch(r"\**\d*\**", row["minutes"]):
            timed = re.fullmatch(r"(\d+):(\d\d)", row["at"])
            start = 60 * int(timed[1]) + int(timed[2]) if timed and not total else start
            at = clock(start + total) if timed else row["at"]
            sums = row["what"] == "**sum**"
            items = [row["what"]] if sums else [numbered(item.strip()) for item in row["what"].split(";")]
            own = total if sums else sum(map(minutes, items))
            total = 0 if sums else total + own
            line = f"| {at} | {f'**{own}**' if sums else own} | {'; '.join(items)} |{row['rest']}"
        lines.append(line)
    return "\n".join(lines)


def disagreements():
    """What does not agree: a line for each lecture whose notes, opening and row in README.md differ."""
    lines = []
    for number in range(1, 6):
        (path,) = ROOT.glob(f"notebooks/0{number}_*.ipynb")
        opening = " ".join(cell.source for cell in nbformat.read(path, as_version=4).cells[:3])
        told = {"its notes add up to": sum(lecture(number).values()), "README.md has": overview()[f"lecture {number}"],
                "its opening has": int(re.search(r"[Mm]inutes:\W+(\d+)", opening)[1])}  # fmt: skip
        if len(set(told.values())) > 1:
            lines.append(f"lecture {number}: " + ", ".join(f"{who} {value} minutes" for who, value in told.items()))
    return lines


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    old = PLANS.read_text(encoding="utf-8")
    try:
        new = planned(old)
    except ValueError as error:
        sys.exit(f"{PLANS.relative_to(ROOT)}: {error}")
    lines = disagreements()
    for before, after in zip(old.split("\n"), new.split("\n"), strict=True):
        lines += [f"{PLANS.relative_to(ROOT)}: {before}\n    should be {after}"] * (before != after)
    print("\n".join(lines) or "the plans' minutes are those of the lectures and labs")
    if not arguments:
        PLANS.write_text(new, encoding="utf-8", newline="\n")
    sys.exit(bool(disagreements()) or (bool(arguments) and old != new))


if __name__ == "__main__":
    main(sys.argv[1:])
