import unittest

import agreement


class Agreement(unittest.TestCase):
    def test_beginnings_end_with_words(self):
        found = agreement.beginnings("To be", " or not to be, that", 3)
        self.assertEqual(found, ["To be", "To be or", "To be or not to"])
        self.assertEqual(agreement.beginnings("x", "", 4), ["x"])
        self.assertEqual(agreement.beginnings("x", " one", 4), ["x"])

    def test_the_same_words_agree(self):
        texts = [" Paris. The", "\n\nThe answer", " is"]
        self.assertEqual(agreement.judge_words(texts, [" Paris. It", "\n\nThe end", " is"]), 1)

    def test_a_near_tie_is_no_disagreement(self):
        self.assertEqual(agreement.judge_words([" a"] * 9 + [" b"], [" a"] * 10), 0.9)

    def test_what_computes_something_else_is_refused(self):
        for theirs in ([" a"] * 7 + [" b"] * 3, ["a"] * 10, [""] * 10):
            with self.assertRaises(agreement.Disagreement):
                agreement.judge_words([" a"] * 10, theirs)

    def test_nothing_is_no_agreement(self):
        for ours, theirs in (([], []), ([" a"], [])):
            with self.assertRaises(agreement.Disagreement):
                agreement.judge_words(ours, theirs)
        with self.assertRaises(agreement.Disagreement):
            agreement.mean_cosine([], [])

    def test_prompts_have_the_same_tokens(self):
        agreement.judge_prompts([3, 4], [3, 4])
        with self.assertRaises(agreement.Disagreement):
            agreement.judge_prompts([3, 4], [3, 5])

    def test_cosines(self):
        self.assertAlmostEqual(agreement.cosine([1, 0], [5, 0]), 1)
        self.assertAlmostEqual(agreement.cosine([1, 0], [1, 1]), 0.5 ** 0.5)
        self.assertEqual(agreement.cosine([0, 0], [1, 1]), 0)
        self.assertAlmostEqual(agreement.mean_cosine([[1, 0], [0, 1]], [[1, 0], [1, 0]]), 0.5)
