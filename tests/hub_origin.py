"""The Hugging Face hub on this machine: what its real client asks for, answered in the form in which the hub answers.

A file's address (/ORG/NAME/resolve/REV/FILE) is answered with the commit and the file's hash in the headers, and a redirect
to where large files lie. Source: the client itself (huggingface_hub, file_download.py).
"""

import hashlib

from origin import Origin

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def publish_model(origin: Origin, store: Origin, repo: str, files: dict[str, bytes]):
    """The model `repo` ("timm/tiny") with these large files, which lie in `store`, at another address (the client follows
    redirects to there only when it fetches, not when it asks)."""
    for name, content in files.items():
        sha = hashlib.sha256(content).hexdigest()
        store.files[f"/lfs/{sha}"] = content
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{sha}"', "X-Linked-Etag": f'"{sha}"', "Content-Length": "0",
                   "X-Linked-Size": str(len(content)), "Location": store.url(f"/lfs/{sha}")}  # fmt: skip
        origin.behave(f"/{repo}/resolve/main/{name}", always=lambda _, headers=headers: (302, headers, b""))
