"""The docstrings of `helpers` as reStructuredText, and the pages of the reference.

They are plain text with a few habits: `name` is code; "name   what it is" in columns is a list of terms; a line that
begins with a parameter ("name: what it is") or with Raises, Returns or Source begins a paragraph of its own.
"""

import inspect
import re
from importlib import import_module

import helpers

ROW = re.compile(r"^( *)(\S+(?: \S+)*?) {2,}(\S.*)$")  # "name   what it is"
PARAMETER = re.compile(r"^`?[a-z_]\w*`?(?:, `?[a-z_]\w*`?)*: \S")
OPENING = re.compile(r"^(?:Raises|Returns|Source:|Columns:)")


def inline(text):
    """Text with `code` in it as reStructuredText; code that names a helper becomes a link to it."""
    parts = " ".join(text.split()).replace("``", "`").split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner is just a character
        parts = ["'".join(parts)]
    for place, part in enumerate(parts):
        if place % 2:
            public = re.match(r"\w+", part)
            linked = public and public[0] in helpers.__all__ and re.fullmatch(r"\w+(\(\))?", part)
            parts[place] = f":py:obj:`{part} <helpers.{public[0]}>`" if linked else f"``{part.strip() or '?'}``"
            if parts[place - 1][-1:].isalnum() or parts[place + 1 : place + 2] and parts[place + 1][:1].isalnum():
                parts[place] = f"\\ {parts[place]}\\ "
        else:
            part = re.sub(r"([\\*|])", r"\\\1", part)
            parts[place] = re.sub(r"_(?!\w)", r"\\_", part)
    text = "".join(parts)
    return rf"\ {text}" if re.match(r"\(?\w{1,3}[.)] |[-+.:=~#>]", text) else text


def to_rest(docstring, parameters=()):
    """A docstring, as inspect.getdoc gives it, as reStructuredText. parameters: the names in the signature."""
    blocks = re.split(r"\n\s*\n", docstring.strip("\n"))
    return "\n\n".join(part for block in blocks for part in _block(block.splitlines(), parameters))


def _block(lines, parameters):
    """The paragraphs and lists of a block without empty lines in it."""
    parts, kind, start, column = [], None, 0, 0  # kind: of the part that the next line may go on with
    for line in lines:
        indent = len(line) - len(line.lstrip())
        row = ROW.match(line)
        if kind == "row" and indent == start and not row and line[column - 1 : column] == " ":  # a name that fills its column
            parts.append(["row", line[:column].strip(), line[column:]])
        elif row and not (kind == "row" and indent >= column):
            parts.append(["row", row[2], row[3]])
            kind, start, column = "row", indent, row.start(3)
        elif kind == "row" and indent >= min(column, 3) and indent > 0:
            parts[-1][2] += f" {line.strip()}"
        elif line.startswith("- ") or (indent == 0 and (PARAMETER.match(line) or OPENING.match(line))):
            kind = "item" if line.startswith("- ") or PARAMETER.match(line) else "text"
            parts.append([kind, line.removeprefix("- ")])
        elif kind in ("item", "text") and (indent == 0 or kind == "item" or not parts[-1][1].endswith(":")):
            parts[-1][1] += f" {line.strip()}"
        else:
            kind = "text"
            parts.append([kind, line.strip()])
    shown = [_items(*texts, parameters) if kind == "item" else [_shown(kind, *texts)] for kind, *texts in parts]
    return [text for texts in shown for text in texts]


def _items(text, parameters):
    """A list item for each of the parameters that one line explains ("size: pixels. seed: another draw")."""
    name = "|".join(map(re.escape, parameters))
    starts = re.compile(rf"(?<=[.;)]) (?=(?:{name})(?:, (?:{name}))*: )") if parameters else re.compile("$^")
    return [_shown("item", part.rstrip(";")) for part in starts.split(text)]


def _shown(kind, text, description=""):
    if kind == "row":
        return f"{inline(text) if '`' in text else f'``{text}``'}\n   {inline(description)}"
    if kind == "item":
        names, colon, rest = text.partition(": ")
        if not PARAMETER.match(text):
            return f"- {inline(text)}"
        return f"- **{names.replace('`', '')}**{colon}{inline(rest)}"
    return inline(text)


# The pages


def groups():
    """{title: modules}, as the docstring of `helpers` groups the public names; what it leaves out comes last."""
    found, title = {}, None
    for line in helpers.__doc__.splitlines():
        if opening := re.match(r"    the (\w+) {2,}", line):
            title = f"The {opening[1]}"
            found[title], line = [], line[opening.end() :]
        elif not line.startswith("     "):
            title = None
        for name in re.findall(r"\w+", line.strip().partition("  ")[0]) if title else []:  # what follows says what they do
            module = helpers._MODULE.get(name)
            if module and not any(module in modules for modules in found.values()):
                found[title].append(module)
    rest = [module for module in helpers._HOME if not any(module in modules for modules in found.values())]
    return found | ({"Of single lectures and labs": rest} if rest else {})


def entry(name):
    """The directive for a public name: a value is shown as it prints, all else is left to autodoc."""
    value = getattr(helpers, name)
    if inspect.isclass(value):
        return f".. autoclass:: helpers.{name}\n   :members:\n"
    if callable(value):
        return f".. autofunction:: helpers.{name}\n"
    shown = re.sub(r"(?<=[(,]) ?(?=\w+=)", "\n       ", repr(value))
    return f".. py:data:: helpers.{name}\n\n   .. code-block:: python\n\n       {shown.replace('(', '(', 1)}\n"


def heading(text, line):
    return f"{text}\n{line * len(text)}\n"


def reference_pages():
    """{path: text} of the reference: a page for each group, a section for each module."""
    pages, contents = {}, []
    for title, modules in groups().items():
        path = f"reference/{title.lower().replace(' ', '_')}"
        parts = [heading(title, "=")]
        for module in modules:
            about = inspect.getdoc(import_module(f"helpers.{module}")) or ""
            names = helpers._HOME[module]
            parts += [heading(f"{module}.py", "-"), to_rest(about.split("\n\n")[0]), *map(entry, names)]
        pages[f"{path}.rst"] = "\n\n".join(parts) + "\n"
        listed = ", ".join(f":py:obj:`~helpers.{name}`" for module in modules for name in helpers._HOME[module])
        contents.append(f":doc:`{title} <{path.partition('/')[2]}>`\n   {listed}")
    intro = "Every name is imported from ``helpers`` itself: ``import helpers as h``, then ``h.freeze(...)``."
    files = "\n".join(f"   {page.removeprefix('reference/').removesuffix('.rst')}" for page in pages)
    toctree = f".. toctree::\n   :hidden:\n\n{files}"
    pages["reference/index.rst"] = "\n\n".join([heading("The helpers", "="), intro, toctree, *contents]) + "\n"
    return pages
