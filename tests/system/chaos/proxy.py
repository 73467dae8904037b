"""A TCP proxy whose network fails on request: it stands between one daemon and the broker."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum
from typing import Any, TypeVar

Result = TypeVar("Result")

_CHUNK_BYTES = 64 * 1024
_PRODUCE = b"\0\0"
"""Key of a request to publish, after its four bytes of length (Kafka's protocol guide)."""


class Network(Enum):
    """How the proxy treats its connections."""

    UP = "up"
    CUT = "cut"
    """Connections are closed, new ones at once."""
    STALLED = "stalled"
    """Nothing passes and nobody is told; what was sent arrives when the network is up again."""
    ANSWER_LOST = "answer lost"
    """The next records to publish arrive, and their connection is closed before the answer."""


class Proxy:
    """Forwards one loopback port to another, in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._state = Network.UP
        self._delay_s = 0.0
        self._upstream = 0
        self._up = asyncio.Event()
        self._up.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def forward_to(self, port: int) -> None:
        """Set where connections go, before the first one comes."""
        self._upstream = port

    def set_network(self, state: Network) -> None:
        """Let the network fail or come back."""
        self._call(self._switch(state))

    def set_delay(self, seconds: float) -> None:
        """Hold up everything that passes, in both directions."""
        self._delay_s = seconds

    def close(self) -> None:
        """End the thread and all connections."""
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _switch(self, state: Network) -> None:
        self._state = state
        if state is Network.STALLED:
            self._up.clear()
        else:
            self._up.set()
        if state is Network.CUT:
            self._reset_all()

    async def _shut(self) -> None:
        self._server.close()
        self._reset_all()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reset_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:  # the broker is down: so is its port
            writer.transport.abort()
            return
        writers = {writer, there[1]}
        self._writers |= writers
        if self._state is Network.CUT:
            self._reset_all()
        try:
            await asyncio.gather(
                self._pump(reader, there[1], answers=writer), self._pump(there[0], writer)
            )
        finally:
            self._writers -= writers
            for each in writers:
                each.transport.abort()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        answers: asyncio.StreamWriter | None = None,
    ) -> None:
        """Pass on bytes until one side is gone, and let the other side know.

        Args:
            source: Where they come from.
            sink: Where they go.
            answers: Where what they ask for is answered, if they ask.
        """
        with suppress(OSError):
            while chunk := await source.read(_CHUNK_BYTES):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._up.wait()
                if self._state is Network.ANSWER_LOST and answers and chunk[4:6] == _PRODUCE:
                    self._state = Network.UP
                    answers.transport.abort()
                sink.write(chunk)
                await sink.drain()
        sink.close()
