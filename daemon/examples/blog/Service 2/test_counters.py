import unittest

import counters


class CountersTest(unittest.TestCase):
    def setUp(self):
        counters.clear()

    def tearDown(self):
        counters.db.close()

    def test_starts_at_zero(self):
        self.assertEqual(counters.value("apples"), 0)

    def test_counts_up(self):
        self.assertEqual(counters.increment("apples"), 1)
        self.assertEqual(counters.increment("apples"), 2)
        self.assertEqual(counters.value("apples"), 2)

    def test_counters_are_independent(self):
        counters.increment("apples")
        counters.increment("pears")
        self.assertEqual(counters.value("apples"), 1)

    def test_everything_is_sorted_by_name(self):
        for name in ("pears", "apples", "pears"):
            counters.increment(name)
        self.assertEqual(list(counters.everything().items()), [("apples", 1), ("pears", 2)])

    def test_refuses_strange_names(self):
        with self.assertRaises(ValueError):
            counters.increment("../apples")


if __name__ == "__main__":
    unittest.main()
