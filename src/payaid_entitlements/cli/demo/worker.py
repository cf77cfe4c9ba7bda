"""
One process of the example app: ``python -m payaid_entitlements.cli.demo.worker DIRECTORY``.

It takes a free port, says which on stdout, and serves until its stdin is closed. A pipe closes whenever the
process at its other end is gone, however it went: so no worker outlives the demo, on any system.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import threading

import uvicorn

#: Seconds that requests in flight have, once the demo is gone.
LEAVING = 2.0
#: Seconds that a connection may be silent: longer than any pause of the story, which takes 35 at most.
KEEPING = 60


def serve(directory: str) -> None:
    """Serve ``app.py`` of *directory* on a free loopback port until stdin ends."""
    sys.path.insert(0, directory)
    # The protocol is named, not left at 0: asyncio turns Nagle's algorithm off only where it reads TCP, and with it on
    # an answer waits 40 ms for the acknowledgement of its own headers.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()  # whoever reads the port below may call at once
    config = uvicorn.Config(
        importlib.import_module("app").app, log_level="warning", access_log=False, timeout_keep_alive=KEEPING
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_leave_with_the_demo, args=(server,), daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    server.run(sockets=[listening])


def _leave_with_the_demo(server: uvicorn.Server) -> None:
    sys.stdin.buffer.read()
    server.should_exit = True
    threading.Timer(LEAVING, os._exit, args=(0,)).start()


if __name__ == "__main__":
    serve(sys.argv[1])
