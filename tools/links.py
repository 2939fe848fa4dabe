"""Print links that open the course: on a JupyterHub (nbgitpuller fetches it and keeps students' work), on Colab and on Binder.

    python tools/links.py https://hub.your-university.edu --branch main
    python tools/links.py --repository ADDRESS            without a hub: Colab and Binder

The address is that of pyproject.toml, unless another is given: such as a repository that holds the students' edition. Students
see all that is in it. The hub needs nbgitpuller and the course's packages (environment.yml). Colab opens GitHub's notebooks only.
"""

import argparse
import sys
import tomllib
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[1]
NONE = ("example.org", "example.com", "example.net", "localhost")  # hosts of no course


def placeholder(root=ROOT):
    """Why the address in pyproject.toml is none yet, with the line to change; "" if it is one."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    address = tomllib.loads(text)["project"]["urls"]["Repository"]
    if (urlsplit(address).hostname or "localhost") not in NONE:
        return ""
    line = next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith("Repository ="))
    return (f"pyproject.toml, line {line}: {address} is a placeholder. Put the course's address there, "
            "then run: python tools/setup_cells.py")  # fmt: skip


def links(repository, branch="main", hub=None):
    """{where: {notebook: link}}. Raises ValueError for what is no web address."""
    for what, address in {"repository": repository, "hub": hub or "https://hub.edu"}.items():
        if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
            raise ValueError(f"{address!r} is no web address of a {what}: it should look like https://hub.university.edu")
    parts, made = urlsplit(repository), {}
    path = parts.path.strip("/").removesuffix(".git")
    files = ["notebooks/00_start_here.ipynb", *(f"labs/{file.name}" for file in sorted((ROOT / "labs").glob("*.ipynb")))]
    for file in files if hub else ():
        query = urlencode({"repo": repository, "branch": branch, "urlpath": f"lab/tree/{Path(path).name}/{file}"})
        made.setdefault("JupyterHub", {})[file] = f"{hub.rstrip('/')}/hub/user-redirect/git-pull?{query}"
    for file in files if parts.hostname == "github.com" else ():
        made.setdefault("Colab", {})[file] = f"https://colab.research.google.com/github/{path}/blob/{branch}/{file}"
        opened = quote(f"lab/tree/{file}", safe="")
        made.setdefault("Binder", {})[file] = f"https://mybinder.org/v2/gh/{path}/{branch}?urlpath={opened}"
    return made


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hub", nargs="?", help="the address of the JupyterHub")
    parser.add_argument("--repository", default=None)
    parser.add_argument("--branch", default="main")
    given = parser.parse_args(arguments)
    if not given.repository and (why := placeholder()):
        sys.exit(why)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        made = links(given.repository or project["urls"]["Repository"], given.branch, given.hub)
    except ValueError as error:
        parser.error(str(error))
    for where, those in made.items():
        print(f"{where}\n" + "\n".join(f"  {file}\n    {link}" for file, link in those.items()))
    if not made:
        print("Colab and Binder open repositories of GitHub; name your JupyterHub for links to it")


if __name__ == "__main__":
    main()
