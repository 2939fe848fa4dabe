"""The docstrings of `helpers` as reStructuredText, and the pages of the reference.

They are plain text with a few habits: `name` is code; "name   what it is" in columns is a list of terms; a line that
begins with a parameter ("name: what it is") or with Raises, Returns or Source begins a paragraph of its own; an example
(>>>) stays as it is.
"""

import inspect
import re
from importlib import import_module
from pkgutil import iter_modules

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
    parts = [[block] if block.startswith(">>>") else _block(block.splitlines(), parameters) for block in blocks]
    return "\n\n".join(text for texts in parts for text in texts)


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
    return found | ({"More helpers": rest} if rest else {})


def lessons():
    """{name: package} of the lectures and labs that have instruments of their own, in the order of their docstrings."""
    inside = iter_modules(import_module("helpers.lessons").__path__)
    packages = [import_module(f"helpers.lessons.{found.name}") for found in inside if found.ispkg]
    packages.sort(key=lambda package: (package.__doc__.startswith("Lab"), package.__doc__))
    return {package.__name__.rpartition(".")[2]: package for package in packages if hasattr(package, "__all__")}


def entry(name, home=helpers):
    """The directive for a public name: autodoc documents functions and classes; a value is shown as it prints, if short."""
    value, path = getattr(home, name), f"{home.__name__}.{name}"
    if inspect.isclass(value):
        return f".. autoclass:: {path}\n   :members:\n"
    if inspect.ismodule(value):
        return f".. py:data:: {path}\n\n   {to_rest(first_paragraph(value))}\n"
    if callable(value):
        return f".. autofunction:: {path}\n"
    shown = re.sub(r"(?<=[(,]) ?(?=\w+=)", "\n       ", repr(value))
    code = f"   .. code-block:: python\n\n       {shown}\n" if len(shown) < 800 else ""
    return f".. py:data:: {path}\n\n{code}"


def heading(text, line):
    return f"{text}\n{line * len(text)}\n"


def first_paragraph(module):
    return " ".join((inspect.getdoc(module) or "").split("\n\n")[0].split())


def section(title, module, home, names):
    """The text of a module or package, its example if it has one, and the entries of its names."""
    examples = [block for block in (inspect.getdoc(module) or "").split("\n\n") if block.startswith(">>>")]
    return [heading(title, "-"), to_rest(first_paragraph(module)), *examples, *(entry(name, home) for name in names)]


def reference_pages():
    """{path: text} of the reference: a page for each group of the face, a section for each module; and one for the lessons."""
    parts, listed = {}, {}
    for title, modules in groups().items():
        named = {module: helpers._HOME[module] for module in modules}
        sections = [
            section(f"{module.replace('.', '/')}.py", import_module(f"helpers.{module}"), helpers, names)
            for module, names in named.items()
        ]
        parts[title] = [text for texts in sections for text in texts]
        listed[title] = ", ".join(f":py:obj:`~helpers.{name}`" for names in named.values() for name in names)
    title = "Lectures and labs"
    sections = [section(f"lessons/{name}", package, package, package.__all__) for name, package in lessons().items()]
    parts[title] = ["``from helpers.lessons import museum``, then ``museum.predict(...)``, and so for the others."]
    parts[title] += [text for texts in sections for text in texts]
    listed[title] = "what a single lecture or lab uses: " + ", ".join(f"``{name}``" for name in lessons())

    files = {title: title.lower().replace(" ", "_") for title in parts}
    pages = {f"reference/{files[title]}.rst": "\n\n".join([heading(title, "="), *texts]) + "\n" for title, texts in parts.items()}
    intro = "Every name is imported from ``helpers`` itself: ``import helpers as h``, then ``h.freeze(...)``."
    toctree = ".. toctree::\n   :hidden:\n\n" + "\n".join(f"   {file}" for file in files.values())
    contents = [f":doc:`{title} <{file}>`\n   {listed[title]}" for title, file in files.items()]
    pages["reference/index.rst"] = "\n\n".join([heading("The helpers", "="), intro, toctree, *contents]) + "\n"
    return pages
