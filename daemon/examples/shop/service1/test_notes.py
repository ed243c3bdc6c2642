import unittest

import main
import notes


class NotesTest(unittest.TestCase):
    def setUp(self):
        notes.clear()

    def tearDown(self):
        notes.db.close()

    def test_starts_empty(self):
        self.assertEqual(notes.latest(), [])

    def test_newest_note_comes_first(self):
        notes.add("first")
        notes.add("second")
        self.assertEqual(notes.latest(), ["second", "first"])

    def test_trims_what_it_stores(self):
        notes.add("  hello \n")
        self.assertEqual(notes.latest(), ["hello"])

    def test_refuses_an_empty_note(self):
        with self.assertRaises(ValueError):
            notes.add("  ")
        self.assertEqual(notes.latest(), [])

    def test_forgets_the_oldest_notes(self):
        for number in range(notes.KEEP + 5):
            notes.add(str(number))
        self.assertEqual(len(notes.latest()), notes.KEEP)
        self.assertNotIn("0", notes.latest())

    def test_page_escapes_notes(self):
        notes.add("<b>bold</b>")
        self.assertIn("&lt;b&gt;bold", main.page(notes.latest(), 1))


if __name__ == "__main__":
    unittest.main()
