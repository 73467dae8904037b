"""The process of a demo's daemon: `stream-vae`, which ends with the demo that started it.

`python -m stream_vae.commands.jobs.demo_process run --config FILE`, with a pipe as standard input
whose other end the demo holds, and never writes to.
"""

import os
import runpy
import sys
import threading

from stream_vae.errors import EXIT_FAILED


def _end_with_parent() -> None:
    """End at once when the pipe does, which happens however the demo ends, a `kill -9` included.

    Its broker ended with it, so there is nothing that could still be committed.
    """
    os.read(sys.stdin.fileno(), 1)
    os._exit(EXIT_FAILED)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    runpy.run_module("stream_vae", run_name="__main__", alter_sys=True)
