"""Refuse this Python process every connection to another machine, and write down each attempt.

An audit hook sees what goes through Python's sockets, whatever library asks: urllib, requests, httpx, torch.hub, asyncio.
It can be neither taken out nor overridden by a test that replaces functions. What it refuses looks to the program like
a machine without a network: a name that nobody knows, an address that cannot be reached. The hook also hands itself on
to processes that are started with an environment of their own. Native code (curl, hf_xet) is held by a proxy instead,
see course_watch.py.

Not covered: native code that ignores the proxy settings; Python started with -I, -E or -S, where it ignores them too; a
plain IP address in asyncio on Windows, which connects without Python's sockets.
"""

import errno
import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
ATTEMPTS = "COURSE_ATTEMPTS"  # the environment variable that names the file of attempts; without it, nothing is guarded
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
ADDRESSED = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1, "socket.getnameinfo": 0}  # where the address is


def is_local(host):
    """Whether a name or address is this machine's own: known without asking anybody."""
    import ipaddress
    import socket

    name = os.fsdecode(host).rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        own = socket.gethostname().lower()
        return name in ("", "localhost", own, own + ".local") or name.endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def record(host, port, who=None):
    """Write one attempt down: "example.org:443 by the program"."""
    program = who or " ".join(sys.orig_argv[1:])
    line = f"{os.fsdecode(host)}:{port} by {' '.join(program.split())[:90]}\n"
    with open(os.environ[ATTEMPTS], "a", encoding="utf-8") as file:
        file.write(line)


def hook(event, arguments):
    if event in LOOKUPS:
        host, port = arguments[0], arguments[1] if len(arguments) > 1 else ""
        if host and not is_local(host):
            import socket

            record(host, port)
            raise socket.gaierror(socket.EAI_NONAME, f"there is no network in this test: {os.fsdecode(host)}")
    elif event in ADDRESSED:
        address = arguments[ADDRESSED[event]]
        if is_of_the_internet(arguments[0], address) and not is_local(address[0]):
            record(*address[:2])
            raise OSError(errno.ENETUNREACH, f"there is no network in this test: {os.fsdecode(address[0])}")
    elif event == "subprocess.Popen" and arguments[3] is not None:
        hand_on(arguments[3])


def is_of_the_internet(sock, address):
    """Whether the address is (host, port, ...), and no path or other thing that sockets of one machine use."""
    import socket

    family = getattr(sock, "family", socket.AF_INET)
    named = isinstance(address, tuple) and isinstance(address[0], (str, bytes))
    return named and family in (socket.AF_INET, socket.AF_INET6)


def hand_on(environment):
    """Put into the environment of a new process what guards it, unless it says otherwise itself."""
    for name in (ATTEMPTS, "COURSE_GUARD", *PROXIES):
        if name in os.environ:
            environment.setdefault(name, os.environ[name])
    path = environment.get("PYTHONPATH", "")
    if FOLDER not in path.split(os.pathsep):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [FOLDER, path]))


def install():
    """Guard this process, once."""
    if not hasattr(sys, "course_guard"):
        sys.course_guard = hook
        sys.addaudithook(hook)
