import os
import struct
import tempfile
import unittest
import xml.dom.minidom

import gguf_head
import machine
import plots
import prompts
from measures import alone, encoder, kernels


class Others(unittest.TestCase):
    def test_features_of_a_processor(self):
        cpuinfo = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512_vnni\n\nprocessor\t: 1\nflags\t: fpu\n"
        self.assertEqual(machine.features(cpuinfo), ["avx2", "avx512_vnni"])
        self.assertEqual(machine.field(cpuinfo, "model name"), "Some CPU")
        self.assertEqual(machine.features("Features\t: fp asimd asimddp i8mm\n"), ["asimd", "asimddp", "i8mm"])
        self.assertEqual((machine.features(""), machine.field("", "model name")), ([], None))

    def test_weights_of_a_gguf_file(self):
        string = lambda text: struct.pack("<Q", len(text)) + text
        head = struct.pack("<4sIQQ", b"GGUF", 3, 1, 3)
        facts = string(b"a") + struct.pack("<I", 8) + string(b"xyz") + string(b"b") + struct.pack("<IIQ", 9, 8, 2) + string(b"p") + string(b"q")
        facts += string(b"general.alignment") + struct.pack("<II", 4, 64)
        tensor = string(b"w") + struct.pack("<IQQIQ", 2, 4, 4, 0, 0)
        whole = head + facts + tensor
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(whole + bytes(-len(whole) % 64) + bytes(64))
        self.addCleanup(os.remove, file.name)
        self.assertEqual(gguf_head.weight_bytes(file.name), 64)

    def test_lines_of_the_kernels_bench(self):
        told = "type   threads    out x in    rows |  GMAC/s   GB/s | candle | ratio\nQ4_1         2   1536 x  576      1 |   12.50   7.80 |\n"
        (row,) = kernels.parse(told + "F16          2  49152 x  576    256 |   80.00   0.50 |  10.00 |  8.00\n")[:1]
        self.assertEqual(row, {"type": "Q4_1", "threads": 2, "shape": "1536x576", "rows": 1, "gmacs": 12.5, "gbs": 7.8})
        self.assertEqual(kernels.parse("nothing"), [])

    def test_the_roofline_is_the_lower_of_the_two(self):
        roofline = {"read": 20.0, "int8": 300.0, "bf16": None, "f32": 60.0}
        self.assertEqual(kernels.bound({"type": "Q4_1", "gmacs": 10.0, "gbs": 5.0}, roofline), (40.0, "memory"))
        self.assertEqual(kernels.bound({"type": "Q8_0", "gmacs": 200.0, "gbs": 0.8}, roofline), (300.0, "multiply-adds"))
        # Without an instruction for it, bfloat16 is computed as f32.
        self.assertEqual(kernels.bound({"type": "BF16", "gmacs": 50.0, "gbs": 0.1}, roofline), (60.0, "multiply-adds"))

    def test_the_switch_for_guessing_is_found(self):
        told = "      --speculation <SPECULATION>\n          Possible values: auto, off\n\n      --threads <N>\n"
        self.assertEqual(alone.switch(told), (("--speculation", "auto"), ("--speculation", "off")))
        self.assertIsNone(alone.switch("      --threads <N>\n          Threads\n"))

    def test_only_what_computes_the_same_is_a_peer(self):
        rates = {"alcazar": [10, 11, 12], "a-f32": [5, 5, 5], "b-int8": [50, 50, 50], "c-int8": [7, 7, 7]}
        cosines = {"alcazar": 1.0, "a-f32": 0.99995, "b-int8": 0.9, "c-int8": 0.997}
        skipped = []
        found = list(encoder.compared(type("", (), {"skip": lambda _, name, why: skipped.append(name)})(), rates, cosines))
        best = {(one.name, one.peer): one.theirs[0] for one in found}
        self.assertEqual(best[("sentences, int8", "the best int8")], 7)
        self.assertEqual(best[("sentences, f32-grade", "the best f32-grade")], 5)
        self.assertNotIn(("sentences, int8", "b-int8"), best)
        self.assertNotIn(("sentences, int8", "a-f32"), best)
        self.assertEqual(best[("sentences, int8", "c-int8")], 7)
        self.assertIn("sentences of programs that compute something else", skipped)

    def test_prompts_are_the_same_in_every_run_and_differ_from_each_other(self):
        self.assertEqual(prompts.sentences(3), prompts.sentences(3))
        lengths = prompts.sentence_lengths(2000)
        self.assertEqual((min(lengths), max(lengths)), (3, 121))
        self.assertEqual(len({tuple(prompts.tokens(nth, 1)) for nth in range(500)}), 500)
        self.assertTrue(all(1000 <= token < 41000 for token in prompts.tokens(3, 9000)))

    def test_plots_are_documents_with_a_mark_for_each_figure(self):
        streams = [{"streams": n, "alcazar": [n * 10.0, n * 11.0], "llama.cpp": [n * 5.0, n * 6.0]} for n in (1, 4)]
        drawn = plots.throughput(streams)
        self.assertEqual(len(xml.dom.minidom.parseString(drawn).getElementsByTagName("circle")), 4)
        figures = {f"{what} p{percent}": 1.0 for what in ("first token", "inter-token") for percent in (50, 90, 99)}
        drawn = plots.latency([{"clients": 1, "alcazar": [figures], "llama.cpp": [figures]}])
        self.assertEqual(len(xml.dom.minidom.parseString(drawn).getElementsByTagName("circle")), 8)
        self.assertEqual([plots.nice_top(value) for value in (0, 0.03, 1, 3, 99, 101)], [1, 0.05, 1, 5, 100, 200])
