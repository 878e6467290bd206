import json
import unittest

import bench
import summary
from summary import Series

GOAL = {"measure": "decode", "name": "decode, Q8_0", "peer": "llama.cpp", "of": "ratio", "atLeast": 1.5}
SERIES = Series("decode, Q8_0", "tokens/s", [20.0, 30.0, 44.0], "llama.cpp", [10.0, 20.0, 20.0])


class Summary(unittest.TestCase):
    def test_an_entry_has_medians_and_the_ratio_of_rounds(self):
        self.assertEqual(summary.entry(SERIES, [GOAL]), {
            "name": "decode, Q8_0", "ours": 30.0, "peer": "llama.cpp", "peerValue": 20.0, "unit": "tokens/s", "ratio": 2.0,
            "goal": {"of": "ratio", "atLeast": 1.5}, "met": True, "spread": [1.5, 2.2]})

    def test_a_figure_without_a_peer_is_judged_by_itself(self):
        goal = {"measure": "start", "name": "start", "peer": None, "of": "ours", "atMost": 0.35}
        found = summary.entry(Series("start", "s", [0.5, 0.3, 0.4]), [goal])
        self.assertEqual((found["peerValue"], found["ratio"], found["met"], found["spread"]), (None, None, False, [0.3, 0.5]))

    def test_no_goal_and_no_word_about_it(self):
        self.assertIsNone(summary.entry(SERIES, [])["met"])
        self.assertIsNone(summary.entry(SERIES, [GOAL], judged=False)["met"])
        self.assertIsNone(summary.entry(Series("decode, Q8_0", "tokens/s", [1], "mistral.rs", [2]), [GOAL])["goal"])

    def test_noise_is_allowed_where_a_goal_says_so(self):
        goal = {"of": "ratio", "atMost": 1, "noise": 0.05}
        self.assertTrue(summary.is_met(goal, 9, 1.04))
        self.assertFalse(summary.is_met(goal, 9, 1.06))

    def test_what_is_wrong_is_named(self):
        good = summary.entry(SERIES, [GOAL])
        self.assertEqual(summary.check([good]), [])
        for broken in ({**good, "ours": None}, {**good, "unit": ""}, {**good, "ratio": None}, {**good, "spread": [2, 1]}, {"name": "x"}, {**good, "more": 1}):
            self.assertEqual(len(summary.check([broken])), 1, broken)
        self.assertEqual(len(summary.check([good, good])), 1)
        json.dumps(good, allow_nan=False)

    def test_goals_without_a_figure_are_noticed(self):
        other = {**GOAL, "name": "decode, F16"}
        alone = {"measure": "start", "name": "start", "peer": None, "of": "ours", "atMost": 1}
        entries = [summary.entry(SERIES, [GOAL])]
        self.assertEqual(summary.unmet_names([GOAL, other, alone], ["decode"], entries), [other])
        self.assertEqual(summary.unmet_names([alone], ["start"], [summary.entry(Series("start", "s", [1]), [])]), [])

    def test_the_goals_are_of_measures_that_exist(self):
        goals = summary.read_goals()
        self.assertEqual([goal for goal in goals if goal["measure"] not in bench.MEASURES], [])
        names = [(goal["name"], goal["peer"]) for goal in goals]
        self.assertEqual(len(names), len(set(names)))

    def test_the_table_has_a_line_for_each(self):
        lines = summary.table([summary.entry(SERIES, [GOAL]), summary.entry(Series("start", "s", [0.3]), [])])
        self.assertEqual(len(lines), 3)
        self.assertRegex(lines[1], r"^decode, Q8_0 +30 +tokens/s +llama.cpp +20 +2 +1.5 to 2.2 +ratio ≥ 1.5 +met$")
