"""Clients for a server on the loopback: one thread that only reads bytes and clocks, so that it costs the servers next to nothing.

Each client has a list of requests and sends the next one when the answer to the last has ended, on a connection of its own.
What came is parsed afterwards (stream.py).
"""

import collections
import dataclasses
import json
import os
import selectors
import socket
import time

import stream

READ = 1 << 16


@dataclasses.dataclass
class Outcome:
    """One request and its answer; times in seconds."""

    client: int
    # When its last byte was handed to the kernel.
    asked_at: float
    answer: stream.Answer

    @property
    def first_s(self):
        return self.answer.text_times[0] - self.asked_at

    @property
    def gaps_s(self):
        """Between pieces of text: of one token each, unless several came at once, which is one piece."""
        times = sorted(set(self.answer.text_times))
        return [later - earlier for earlier, later in zip(times, times[1:])]

    @property
    def n_tokens(self):
        return self.answer.usage.get("completion_tokens") or len(self.answer.text_times)


@dataclasses.dataclass
class Connection:
    client: int
    unsent: bytes
    asked_at: float = None
    pieces: list = dataclasses.field(default_factory=list)


def request(path, body):
    """Bytes of a POST after whose answer the connection ends."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    return head.encode() + data


def run(address, clients, timeout=900):
    """clients: for each a list of requests. Outcomes in the order in which they ended."""
    queues = [collections.deque(requests) for requests in clients]
    records = []
    with selectors.DefaultSelector() as selector, quick_to_wake():
        for client, queue in enumerate(queues):
            connect(selector, address, client, queue)
        ends = time.monotonic() + timeout
        while selector.get_map():
            if time.monotonic() > ends:
                raise TimeoutError(f"{len(selector.get_map())} answers had not ended after {timeout} s")
            for key, events in selector.select(1):
                if events & selectors.EVENT_WRITE:
                    send(selector, key)
                elif receive(key):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    records.append(key.data)
                    connect(selector, address, key.data.client, queues[key.data.client])
    return [Outcome(record.client, record.asked_at, stream.parse(record.pieces)) for record in records]


def connect(selector, address, client, queue):
    if not queue:
        return
    connection = socket.socket()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # On the loopback this ends at once.
    connection.connect(address)
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_WRITE, Connection(client, queue.popleft()))


def send(selector, key):
    connection = key.data
    connection.unsent = connection.unsent[key.fileobj.send(connection.unsent):]
    if not connection.unsent:
        connection.asked_at = time.monotonic()
        selector.modify(key.fileobj, selectors.EVENT_READ, connection)


def receive(key):
    """Whether that was the end."""
    try:
        data = key.fileobj.recv(READ)
    except BlockingIOError:
        return False
    if data:
        key.data.pieces.append((time.monotonic(), data))
    return not data


class quick_to_wake:
    """The servers compute on the cores that this runs on: without a better priority its clock would be late. Needs root."""

    def __enter__(self):
        self.before = os.getpriority(os.PRIO_PROCESS, 0)
        self.set(self.before - 10)

    def __exit__(self, *_):
        self.set(self.before)

    @staticmethod
    def set(priority):
        try:
            os.setpriority(os.PRIO_PROCESS, 0, priority)
        except PermissionError:
            pass


def accepted(outcomes):
    """All of them, or an error that says what the first other one was answered."""
    for outcome in outcomes:
        if outcome.answer.status != 200:
            raise RuntimeError(f"the server answered {outcome.answer.status}: {outcome.answer.body[:300]!r}")
    return outcomes


def ask(address, path, body, timeout=900):
    """One request on an idle server."""
    return accepted(run(address, [[request(path, body)]], timeout))[0]
