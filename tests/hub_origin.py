"""The Hugging Face hub on this machine: what its real client asks for, answered in the form in which the hub answers.

A model's page (/api/models/ORG/NAME/revision/REV) lists its files with lengths and hashes. A file's address
(/ORG/NAME/resolve/REV/FILE) is answered with the commit and the file's hash in the headers: small ones at once, large ones
(kept in Git LFS) by a redirect to where they lie. Source: the client itself (huggingface_hub, file_download.py and hf_api.py).
"""

import hashlib
import json
from pathlib import Path

from origin import Origin

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def publish_model(origin: Origin, store: Origin, repo: str, files: dict[str, bytes], licence="apache-2.0", commit=COMMIT):
    """The model `repo` ("course/tiny") with these files; those that end in .safetensors or .bin lie in `store`, at another
    address (the client follows redirects to there only when it fetches, not when it asks)."""
    siblings = []
    for name, content in files.items():
        git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        about = {"rfilename": name, "size": len(content), "blobId": git}
        if name.endswith((".safetensors", ".bin")):
            sha = hashlib.sha256(content).hexdigest()
            about["lfs"] = {"sha256": sha, "size": len(content), "pointerSize": 134}
            store.files[f"/lfs/{sha}"] = content
        siblings.append(about)
        for revision in ("main", commit):
            origin.behave(f"/{repo}/resolve/{revision}/{name}", always=_file(store, about, content, commit))
    page = json.dumps({"id": repo, "modelId": repo, "sha": commit, "private": False, "tags": [f"license:{licence}"],
                       "downloads": 0, "likes": 0, "siblings": siblings}).encode()  # fmt: skip
    for revision in ("main", commit):
        answer = lambda _: (200, {"Content-Type": "application/json", "Content-Length": str(len(page))}, page)
        origin.behave(f"/api/models/{repo}/revision/{revision}", always=answer)


def _file(store, about, content, commit):
    headers = {"X-Repo-Commit": commit, "ETag": f'"{about["blobId"]}"', "Content-Length": str(len(content))}
    if "lfs" in about:
        sha = about["lfs"]["sha256"]
        moved = {"X-Linked-Etag": f'"{sha}"', "X-Linked-Size": str(len(content)), "Location": store.url(f"/lfs/{sha}")}
        return lambda _: (302, headers | moved | {"Content-Length": "0"}, b"")
    return lambda _: (200, headers, content)


def files_of(folder: Path) -> dict[str, bytes]:
    """What save_pretrained wrote into a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}
