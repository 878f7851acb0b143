#!/usr/bin/env python3
"""The comparison of conformance.py finds what it is for: outcomes that differ, steps and cases that are missing."""
import contextlib
import io
import json
import unittest

import conformance

CASES = [{"case": "one", "steps": [{"expect": {"reply": {"value": "1"}}}, {"expect": {"error": {"code": "ABORTED"}}}]}]
RIGHT = [{"reply": {"value": "1"}}, {"error": {"code": "ABORTED"}}]


class Fits(unittest.TestCase):
    def test_equal_values_fit(self):
        for value in ("a", 1, 1.5, True, None, [1, [2]], {"a": {"b": []}}):
            self.assertTrue(conformance.fits(value, value), value)
        self.assertTrue(conformance.fits(1, 1.0), "JSON has one number for both")

    def test_other_values_do_not(self):
        for expected, found in (("1", 1), (True, 1), (0, False), (None, 0), ({}, []), ({"a": 1}, {}), ({}, {"a": 1}),
                                ([1, 2], [2, 1]), ([1], [1, 1]), ("a", "b")):
            self.assertFalse(conformance.fits(expected, found), (expected, found))

    def test_a_star_fits_a_value_but_not_its_absence(self):
        self.assertTrue(conformance.fits({"etag": "*"}, {"etag": "5"}))
        self.assertFalse(conformance.fits({"etag": "*"}, {}))

    def test_details_of_an_error_come_in_any_order(self):
        details = [{"@type": "x/ErrorInfo", "reason": "R"}, {"@type": "x/BadRequest", "field": "f"}]
        self.assertTrue(conformance.fits(details, details[::-1]))
        self.assertFalse(conformance.fits(details, details[:1]))


class Compare(unittest.TestCase):
    def complaint(self, outcomes):
        return conformance.compare(CASES, {"go": outcomes})["one"]["go"]

    def test_the_outcomes_of_the_file_are_no_complaint(self):
        self.assertEqual(self.complaint({"one": RIGHT}), "")

    def test_another_outcome_names_its_step(self):
        self.assertIn("step 2", self.complaint({"one": [RIGHT[0], RIGHT[0]]}))

    def test_missing_steps_and_cases_are_complaints(self):
        self.assertIn("2 steps are due, 1 ran", self.complaint({"one": RIGHT[:1]}))
        self.assertEqual(self.complaint({}), "did not run")

    def test_the_table_shows_who_differs(self):
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            conformance.show(conformance.compare(CASES, {"go": {"one": RIGHT}, "java": {}}), ["go", "java"])
        self.assertEqual(shown.getvalue(), "case  go       java\none   equal    differs\n")


class Skips(unittest.TestCase):
    def run_with(self, *arguments):
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            status = conformance.main(["holdfastd", *arguments])
        return status, shown.getvalue()

    def test_a_language_without_tools_is_named(self):
        self.assertEqual(self.run_with("java=-"), (77, "conformance: skipped java: its tool chain is missing\n"))

    def test_with_all_that_is_a_failure(self):
        self.assertEqual(self.run_with("--all", "java=-")[0], 1)


class Cases(unittest.TestCase):
    def test_the_file_has_thirty_cases_each_with_a_name_of_its_own(self):
        cases = json.loads(conformance.CASES.read_text(encoding="utf-8"))
        self.assertEqual(len({case["case"] for case in cases}), 30)
        self.assertEqual(len(cases), 30)
        self.assertTrue(all(case["steps"] for case in cases))


if __name__ == "__main__":
    unittest.main()
