"""The sessions of docs/http.md run as they stand there, one after the other, and print what it says.

A session is a block of the kind `console`: lines that begin with "$ " are commands, the others what they print. The
port of the document stands for that of the server.
"""

import pathlib
import re
import subprocess
import unittest

from harness import Server

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs/http.md"
PORT = "8080"


def commands(text):
    """Yields each command with what it must print. A backslash at its end goes on with the next line."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        command, printed, goes_on = None, [], False
        for line in block.splitlines():
            if goes_on:
                command += "\n" + line
            elif line.startswith("$ "):
                if command:
                    yield command, "\n".join(printed)
                command, printed = line[2:], []
            else:
                printed.append(line)
            goes_on = (goes_on or line.startswith("$ ")) and line.endswith("\\")
        yield command, "\n".join(printed)


class Document(unittest.TestCase):
    def test_the_sessions_print_what_the_document_says(self):
        server = Server()
        self.addCleanup(server.discard)
        count = 0
        for command, printed in commands(DOCUMENT.read_text()):
            with self.subTest(command=command):
                done = subprocess.run(["bash", "-c", command.replace(PORT, str(server.port))], capture_output=True,
                                      text=True, timeout=60)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done)
                self.assertEqual(done.stdout.replace(str(server.port), PORT).replace("\r", "").strip(), printed.strip())
            count += 1
        self.assertGreater(count, 4, "the document has sessions")


if __name__ == "__main__":
    unittest.main(verbosity=2)
