"""What a report on a folder of images says in words: what to know and to do before training, the worst first."""

from collections import Counter

from helpers.images.kinds import NEEDED, shown, some

FEW = 10  # different pictures of a class: with fewer there is next to nothing left to learn from, or to judge by
_UNEVEN, _VERY_UNEVEN = 1.3, 3  # times as many pictures of the largest class as of the smallest
_MODES = {"CMYK": "CMYK, as for print", "P": "with a palette", "1": "black and white", "RGBA": "with transparency"}
_ODD = {"middle": "so long that only the middle is used", "screenshot": "screenshots", "moves": "moving"}
_GREY = ("L", "LA", "La")


def sentences(report) -> list[str]:
    """The findings of an `inspection.Report`, each a sentence or two."""
    good = report.files[report.files.problem == ""]
    lines = [
        *_problems(report),
        *_two_classes(report),
        *_balance(report.table),
        *_few(report.table),
        *_twins(report),
        *_odd(good),
    ]
    small = good[good[["width", "height"]].min(axis=1) < report.size]
    if len(small):
        lines.append(f"Smaller than {report.size} pixels: {_count(len(small), 'picture')}, such as {some(small.file, 3)}.")
    if good.turned.any():
        lines.append(f"Stored lying, and turned upright as their EXIF data ask: {some(good.file[good.turned], 3)}.")
    lines += _modes(good)
    return lines + [note[0].upper() + note[1:] + "." for note in report.notes]


def _problems(report):
    """Files that can't be decoded: those that a package would help apart from the others."""
    bad = report.files[report.files.problem != ""]
    heic = bad.problem.str.contains(NEEDED, regex=False)
    large = bad.problem.str.contains("too large")
    if heic.any():
        yield (
            f"{_count(int(heic.sum()), 'HEIC picture')}, as iPhones take them, can't be read yet: {some(bad.file[heic], 3)}. "
            f"One command helps: {NEEDED}"
        )
    if large.any():
        yield (
            f"{_count(int(large.sum()), 'picture')} of more pixels than is safe: {some(bad.file[large], 3)}. Shrink them, "
            "or allow more with max_pixels=..., here and in open_task."
        )
    rest = bad.file[~heic & ~large]
    if len(rest):
        yield f"{_count(len(rest), 'file')} can't be decoded: {some(rest, 3)}. Replace or remove them."


def _two_classes(report):
    good = report.files[report.files.problem == ""]
    spread = good.groupby("near")["class"].nunique()
    both = sorted(list(group.file) for _, group in good[good.near.isin(spread.index[spread > 1])].groupby("near"))
    if both:
        pairs = "; ".join(some(group, 3) for group in both[:3])
        more = f"; and {len(both) - 3:,} more" if len(both) > 3 else ""
        yield f"{_count(len(both), 'group')} of near-duplicates in two classes: {pairs}{more}. Which class is right?"


def _balance(table):
    """Whether the classes are even, what is reached without looking, and what to do about it."""
    counts = table["usable"]
    if not counts.sum():
        return
    largest, smallest = shown(counts.idxmax()), shown(counts.idxmin())
    ratio = counts.max() / max(counts.min(), 1)
    if counts.max() == counts.min():
        yield (
            f"Each class has {counts.max():,} usable files. Always giving the same answer would be right for "
            f"{1 / len(counts):.0%}: the number to beat."
        )
        return
    yield (
        f"{'The classes are uneven: ' if ratio > _UNEVEN else ''}{counts.max():,} usable files of {largest!r}, {counts.min():,} "
        f"of {smallest!r}. Always answering {largest!r} would be right for {counts.max() / counts.sum():.0%}: the number to beat."
    )
    if ratio >= _VERY_UNEVEN and counts.min() >= FEW:
        yield (
            f"As they are that uneven: more pictures of {smallest!r} help most. Until you have them, train on as many of each "
            f"class, open_task(..., per_class={int(0.6 * counts.min())}), and look at the accuracy of each class, not only at "
            "that of all together."
        )


def _few(table):
    few = table.index[table["without near-duplicates"] < FEW]
    if len(few):
        counts = [f"{name} ({table['without near-duplicates'][name]})" for name in few]
        yield (
            f"Fewer than {FEW} really different pictures: {some(counts)}. That is too few to learn from and to judge by: add "
            "some, or leave the class out."
        )


def _twins(report):
    near, same = report.groups("near"), report.groups("same")
    if near:
        yield (
            f"{_count(len(near), 'group')} of near-duplicates, {sum(map(len, near)):,} pictures in all. Keep each group on one "
            "side of the split: open_task(..., together=True)."
        )
    if same:
        spare = sum(map(len, same)) - len(same)
        yield f"Repeated exactly, and used once: {_count(spare, 'file')}, such as {some(same[0][:1])} = {some(same[0][1:2])}."


def _odd(good):
    odd = good[good.odd != ""]
    kinds = {}
    for file, why in zip(odd.file, odd.odd, strict=True):
        for one in why.split("; "):
            what = next((words for part, words in _ODD.items() if part in one), one)
            kinds.setdefault(what, []).append(file)
    if kinds:
        words = [f"{what}: {len(files):,} ({some(files, 1)})" for what, files in kinds.items()]
        yield f"Worth a look, with .odd_sheet(): {'; '.join(words)}."


def _modes(good):
    modes = Counter("grey" if mode in _GREY or mode.startswith("I;16") else _MODES.get(mode, "") for mode in good["mode"])
    modes.pop("", None)
    if modes and sum(modes.values()) < len(good):
        words = ", ".join(f"{count:,} {what}" for what, count in modes.most_common())
        yield f"Not plain colour pictures: {words}. They are read as colour, transparent parts as white."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
