"""Python without a network: for processes that have this folder in PYTHONPATH. Only this machine can be reached.

Every other address that one of them tries is refused, and written to the file that COURSE_ATTEMPTS names. It covers what
goes through Python's sockets: urllib, requests, torch.hub, asyncio.
"""

import os
import socket

LOCAL = ("127.", "::1", "localhost", "0.0.0.0")


def refuse(host):
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "") or str(host).startswith(LOCAL) or host == socket.gethostname():
        return
    with open(os.environ["COURSE_ATTEMPTS"], "a") as file:
        file.write(f"{host}\n")
    raise OSError(f"there is no network in this test: {host}")


def guarded(method):
    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            refuse(address[0])
        return method(self, address)

    return connect


def looked_up(host, *args, **kwargs):
    refuse(host)
    return look_up(host, *args, **kwargs)


if os.environ.get("COURSE_ATTEMPTS"):
    look_up, socket.getaddrinfo = socket.getaddrinfo, looked_up
    socket.socket.connect = guarded(socket.socket.connect)
    socket.socket.connect_ex = guarded(socket.socket.connect_ex)
