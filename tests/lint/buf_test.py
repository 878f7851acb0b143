#!/usr/bin/env python3
"""buf.sh refuses a contract that breaks clients, and a second image of one version; a new field is none of its business.
Runs it over a copy of the contract, with the tool of the tree. Usage: buf_test.py ROOT
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop() if len(sys.argv) > 1 else ".").resolve()
COUNTER = "proto/holdfast/v1/counter_service.proto"
FIELD = "  // The value after the increment.\n  int64 value = 1;\n"


class Buf(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)
        for name in ("proto", "tests/lint/contract"):
            shutil.copytree(ROOT / name, self.root / name)
        for name in ("buf.yaml", "CMakeLists.txt"):
            shutil.copy(ROOT / name, self.root / name)
        (self.root / "build").mkdir()
        os.symlink(ROOT / "build/tools", self.root / "build/tools")

    def change(self, file, old, new):
        path = self.root / file
        text = path.read_text()
        self.assertEqual(text.count(old), 1, old)
        path.write_text(text.replace(old, new))

    def run_buf(self, *arguments):
        done = subprocess.run([ROOT / "tests/lint/buf.sh", self.root, *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_the_contract_as_it_is_passes(self):
        status, said = self.run_buf()
        self.assertEqual(status, 0, said)

    def test_another_type_breaks(self):
        self.change(COUNTER, FIELD, FIELD.replace("int64", "string"))
        status, said = self.run_buf()
        self.assertNotEqual(status, 0)
        self.assertIn("counter_service.proto", said)

    def test_a_new_field_does_not(self):
        self.change(COUNTER, FIELD, FIELD + "  // Another one.\n  int64 other = 2;\n")
        status, said = self.run_buf()
        self.assertEqual(status, 0, said)

    def test_a_version_has_one_image(self):
        status, said = self.run_buf("--release")
        self.assertNotEqual(status, 0)
        self.assertIn("raise the version", said)

    def test_a_release_moves_the_image(self):
        version = next(line.split()[2] for line in (self.root / "CMakeLists.txt").read_text().splitlines()
                       if line.startswith("project("))
        self.change("CMakeLists.txt", f"project(holdfast VERSION {version}", "project(holdfast VERSION 99.0.0")
        self.change(COUNTER, FIELD, FIELD.replace("int64", "string"))
        status, said = self.run_buf("--release")
        self.assertEqual(status, 0, said)
        self.assertEqual([path.name for path in (self.root / "tests/lint/contract").iterdir()], ["99.0.0.binpb"])
        status, said = self.run_buf()
        self.assertEqual(status, 0, said)


if __name__ == "__main__":
    unittest.main()
