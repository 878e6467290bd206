import json
import socketserver
import threading
import time
import unittest

import load


class Handler(socketserver.StreamRequestHandler):
    """Three words, 5 ms apart; a refusal where the path says so."""

    def handle(self):
        path = self.rfile.readline().split()[1].decode()
        length = 0
        while (line := self.rfile.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = json.loads(self.rfile.read(length))
        if path == "/refused":
            self.wfile.write(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}")
            return
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for word in "abc":
            time.sleep(0.005)
            text = word + str(len(body["prompt"]))
            self.wfile.write(b"data: " + json.dumps({"choices": [{"text": text}]}).encode() + b"\n\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


class Load(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.address = cls.server.server_address

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def test_every_request_is_answered_and_timed(self):
        # More than a socket takes at once.
        body = load.request("/v1/completions", {"prompt": "x" * 300_000})
        outcomes = load.accepted(load.run(self.address, [[body, body]] * 4))
        self.assertEqual(sorted(outcome.client for outcome in outcomes), sorted(list(range(4)) * 2))
        for outcome in outcomes:
            self.assertEqual(outcome.answer.text, "a300000b300000c300000")
            self.assertEqual((outcome.n_tokens, len(outcome.answer.text_times)), (3, 3))
            self.assertTrue(all(gap > 0 for gap in outcome.gaps_s))
            times = [outcome.asked_at, *outcome.answer.text_times, outcome.answer.ended_at]
            self.assertEqual(times, sorted(times))

    def test_what_comes_together_is_one_piece(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        word = b'data: {"choices": [{"text": "a"}]}\n\n'
        outcome = load.Outcome(0, 0.0, load.stream.parse([(1.0, head + word), (2.0, word + word), (4.0, word)]))
        self.assertEqual((outcome.gaps_s, outcome.n_tokens, outcome.first_s), ([1.0, 2.0], 4, 1.0))

    def test_clients_wait_for_their_own_answers_only(self):
        body = load.request("/v1/completions", {"prompt": []})
        outcomes = load.run(self.address, [[body] * 2] * 16)
        asked = [outcome.asked_at for outcome in outcomes]
        # All first ones are asked before any answer ends, and each client's second one after its first.
        self.assertLess(sorted(asked)[15], min(outcome.answer.ended_at for outcome in outcomes))
        for client in range(16):
            first, second = sorted((one for one in outcomes if one.client == client), key=lambda one: one.asked_at)
            self.assertLess(first.answer.ended_at, second.asked_at)

    def test_a_refusal_is_an_outcome_and_where_none_may_be_an_error(self):
        outcomes = load.run(self.address, [[load.request("/refused", {"prompt": []})]])
        self.assertEqual([outcome.answer.status for outcome in outcomes], [429])
        with self.assertRaisesRegex(RuntimeError, "429"):
            load.accepted(outcomes)
