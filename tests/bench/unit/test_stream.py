import json
import unittest

import stream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(**data):
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def word(text):
    return event(choices=[{"text": text, "finish_reason": None}])


class Stream(unittest.TestCase):
    def test_each_event_has_the_time_at_which_its_end_came(self):
        first, second = chunk(word("a")), chunk(word("b"))
        pieces = [(1.0, HEAD), (2.0, first + second[:9]), (3.0, second[9:]), (4.0, chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")]
        answer = stream.parse(pieces)
        self.assertEqual((answer.status, answer.head_at, answer.ended_at), (200, 1.0, 4.0))
        self.assertEqual((answer.text, answer.text_times), ("ab", [2.0, 3.0]))

    def test_the_pieces_may_be_cut_anywhere(self):
        raw = HEAD + chunk(word("a") + word("b")[:7]) + chunk(word("b")[7:] + b": ping\n\n") + b"0\r\n\r\n"
        for size in (1, 2, 3, 7, 50, len(raw)):
            pieces = [(float(at), raw[at:at + size]) for at in range(0, len(raw), size)]
            answer = stream.parse(pieces)
            self.assertEqual(answer.text, "ab")
            ends = [raw.index(b"}]}\n\n") + 5, raw.rindex(b"}]}\n\n") + 5]
            self.assertEqual(answer.text_times, [float((end - 1) // size * size) for end in ends])

    def test_a_stream_without_chunks_ends_with_the_connection(self):
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        answer = stream.parse([(1.0, head + word("a")), (2.0, word("b"))])
        self.assertEqual(answer.text_times, [1.0, 2.0])

    def test_chats_usage_and_roles(self):
        events = [event(choices=[{"delta": {"role": "assistant", "content": ""}}], usage=None), event(choices=[{"delta": {"content": "x"}}]),
                  event(choices=[{"delta": {}, "finish_reason": "length"}]), event(choices=[], usage={"completion_tokens": 6})]
        answer = stream.parse([(0.0, HEAD)] + [(float(at + 1), chunk(data)) for at, data in enumerate(events)] + [(9.0, b"0\r\n\r\n")])
        self.assertEqual((answer.text, answer.text_times, answer.usage), ("x", [2.0], {"completion_tokens": 6}))

    def test_a_token_without_text_is_timed_by_the_end(self):
        events = [word(""), event(choices=[{"text": "", "finish_reason": "length"}])]
        answer = stream.parse([(0.0, HEAD), (1.0, chunk(events[0])), (2.0, chunk(events[1]) + b"0\r\n\r\n")])
        self.assertEqual(answer.text_times, [2.0])

    def test_a_refusal_has_a_body(self):
        body = b'{"error": {"code": "overloaded"}}'
        head = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: %d\r\n\r\n" % len(body)
        answer = stream.parse([(1.0, head), (2.0, body)])
        self.assertEqual((answer.status, answer.headers["retry-after"], answer.body, answer.events), (429, "1", body, []))

    def test_what_was_cut_off_is_an_error(self):
        for raw in (b"HTTP/1.1 200 OK\r\nContent", HEAD + chunk(word("a")), HEAD + chunk(word("a"))[:-9], b""):
            with self.assertRaises(ValueError):
                stream.parse([(1.0, raw)])
