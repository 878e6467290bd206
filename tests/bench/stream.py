"""An HTTP answer out of what came over the connection, with the time of each piece. Pure: reading is load.py's.

Parsed after the measurement, since on few cores a parser beside the server would be measured too.
"""

import bisect
import dataclasses
import json


@dataclasses.dataclass
class Answer:
    """Times in seconds of the same clock as the pieces'."""

    status: int
    headers: dict
    # Of the complete head.
    head_at: float
    ended_at: float
    body: bytes
    # [time, data] of each server-sent event with JSON.
    events: list

    @property
    def text(self):
        return "".join(text_of(data) for _, data in self.events)

    @property
    def text_times(self):
        """When text came. Where none can be seen, since a token ended inside a character, the end tells the time."""
        times = [at for at, data in self.events if text_of(data)]
        return times or [at for at, data in self.events if finish_of(data)]

    @property
    def usage(self):
        whole = [data for _, data in self.events] or [json.loads(self.body)]
        return next((data["usage"] for data in reversed(whole) if data.get("usage")), {})


def text_of(data):
    """Of a chunk of a completion or of a chat."""
    for choice in data.get("choices") or []:
        delta = choice.get("delta") or {}
        return choice.get("text") or delta.get("content") or delta.get("reasoning_content") or ""
    return ""


def finish_of(data):
    return any(choice.get("finish_reason") for choice in data.get("choices") or [])


def parse(pieces):
    """pieces: [time, bytes] as they came, to the end of the connection."""
    raw = b"".join(data for _, data in pieces)
    ends, length = [], 0
    for _, data in pieces:
        length += len(data)
        ends.append(length)
    when = lambda end: pieces[min(bisect.bisect_left(ends, end), len(ends) - 1)][0]
    status, headers, start = parse_head(raw)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body, places = dechunk(raw, start)
    else:
        body, places = raw[start:], [(0, start)]
    events = []
    if headers.get("content-type", "").startswith("text/event-stream"):
        events = [(when(raw_place(places, end)), data) for end, data in server_sent(body)]
    return Answer(status, headers, when(start), pieces[-1][0], body, events)


def parse_head(raw):
    """Status, headers with lower-case names, and where the body begins."""
    end = raw.find(b"\r\n\r\n")
    if end < 0:
        raise ValueError(f"the answer ended inside its head: {raw[:200]!r}")
    first, *lines = raw[:end].decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split()[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}, end + 4


def dechunk(raw, start):
    """The body, and [place in it, place in raw] of the beginning of each chunk."""
    body, places, at = b"", [], start
    while True:
        line = raw.find(b"\r\n", at)
        if line < 0:
            raise ValueError("the answer ended between two chunks")
        size = int(raw[at:line].split(b";")[0], 16)
        if size == 0:
            return body, places or [(0, at)]
        data = raw[line + 2:line + 2 + size]
        if len(data) < size:
            raise ValueError("the answer ended inside a chunk")
        places.append((len(body), line + 2))
        body += data
        at = line + 2 + size + 2


def raw_place(places, end):
    """Where in the raw bytes the body's first `end` bytes end."""
    of_body, of_raw = places[bisect.bisect_left(places, (end, -1)) - 1]
    return of_raw + end - of_body


def server_sent(body):
    """[end in the body, JSON] of each event; pings, names and the last word are passed over."""
    at = 0
    while (end := body.find(b"\n\n", at)) >= 0:
        lines = body[at:end].split(b"\n")
        data = b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
        at = end + 2
        if data and data != b"[DONE]":
            yield at, json.loads(data)
