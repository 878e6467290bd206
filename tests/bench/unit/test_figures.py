import unittest

import figures


class Figures(unittest.TestCase):
    def test_percentiles_lie_between_neighbours(self):
        self.assertIsNone(figures.percentile([], 50))
        self.assertEqual(figures.percentile([7], 99), 7)
        self.assertEqual(figures.percentile([4, 1, 3, 2], 50), 2.5)
        self.assertEqual(figures.percentile([0, 10], 90), 9)
        self.assertEqual(figures.percentile(range(101), 99), 99)
        self.assertEqual([figures.percentile([1, 2, 3], percent) for percent in (0, 100)], [1, 3])

    def test_rounds_are_compared_one_by_one(self):
        # The machine was twice as fast in the second round: for both.
        self.assertEqual(figures.ratios([10, 20, 15], [5, 10, 5]), [2, 2, 3])
        with self.assertRaises(ValueError):
            figures.ratios([1, 2], [1])

    def test_the_spread_is_the_lowest_and_the_highest(self):
        self.assertEqual(figures.spread([2, 1, 3]), [1, 3])

    def test_digits(self):
        self.assertEqual(figures.significant(123456.7), 123500)
        self.assertEqual(figures.significant(0.00123456), 0.001235)
        self.assertEqual([figures.significant(value) for value in (0, None)], [0, None])
