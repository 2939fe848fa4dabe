"""Print links that open the labs on a JupyterHub, for a course page: nbgitpuller fetches the course, keeping students' work.

    python tools/links.py https://hub.your-university.edu [--repository ADDRESS] [--branch main]

The hub needs nbgitpuller and the course's packages (environment.yml). The address of the repository is that of
pyproject.toml, unless another is given: students see all that is in it, the solutions too.
"""

import argparse
import tomllib
from pathlib import Path
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[1]


def links(hub, repository, branch="main"):
    """{notebook: link} for every lab. hub, repository: web addresses; raises ValueError for anything else."""
    for what, address in {"hub": hub, "repository": repository}.items():
        if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
            raise ValueError(f"{address!r} is no web address of a {what}: it should look like https://hub.university.edu")
    folder = urlsplit(repository).path.rstrip("/").rpartition("/")[2].removesuffix(".git")
    made = {}
    for path in sorted((ROOT / "labs").glob("*.ipynb")):
        target = f"lab/tree/{folder}/labs/{path.name}"
        query = urlencode({"repo": repository, "branch": branch, "urlpath": target})
        made[path.name] = f"{hub.rstrip('/')}/hub/user-redirect/git-pull?{query}"
    return made


def main():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hub", help="the address of the JupyterHub")
    parser.add_argument("--repository", default=project["urls"]["Repository"])
    parser.add_argument("--branch", default="main")
    given = parser.parse_args()
    try:
        made = links(given.hub, given.repository, given.branch)
    except ValueError as error:
        parser.error(str(error))
    for name, link in made.items():
        print(f"{name}\n    {link}")


if __name__ == "__main__":
    main()
