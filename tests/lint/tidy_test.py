#!/usr/bin/env python3
"""tidy.sh finds a fault in the files that it should check, and only there: runs it over a small repository."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name("tidy.sh")
CONFIGURATION = CHECK.parent.parent.parent / ".clang-tidy"
RIGHT = "int Right() { return 1; }\n"
FAULT = "#include <string>\n#include <utility>\nvoid Take(std::string);\nchar Wrong(std::string a) {\n  Take(std::move(a));\n  return a[0];\n}\n"

with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)

    def git(*arguments):
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)

    def write(path, text):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def expect(status, text, *arguments):
        done = subprocess.run([CHECK, root, *arguments], capture_output=True, text=True)
        output = done.stdout + done.stderr
        if done.returncode != status or text not in output:
            sys.exit(f"tidy_test: expected status {status} with '{text}', got {done.returncode}:\n{output}")

    names = ["storage/old.cc", "storage/new.cc", "actors/a.cc", "service/a.cc", "client/a.cc"]
    for name in names:
        write(name, RIGHT)
    write("storage/new.h", "int Right();\n")
    shutil.copy(CONFIGURATION, root)
    write(".gitignore", "/build/\n")
    write("build/dev/compile_commands.json", json.dumps(
        [{"directory": folder, "file": name, "command": f"clang++-16 -std=c++20 -c {name}"} for name in names]))
    expect(77, "CHECKS NOTHING")

    write("storage/old.cc", FAULT)
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    expect(77, "CHECKS NOTHING")
    expect(1, "bugprone-use-after-move", "--all")

    # A fault that is not committed, that is the last commit of main, and that a branch has with a commit after it.
    write("storage/new.cc", FAULT)
    expect(1, "storage/new.cc:6")
    git("commit", "-q", "-a", "-m", "second")
    expect(1, "storage/new.cc:6")
    git("checkout", "-q", "-b", "branch", "HEAD~1")
    write("note", "")
    git("add", "note")
    git("commit", "-q", "-m", "no code")
    expect(0, "no files that changed")
    write("storage/new.cc", FAULT)
    git("commit", "-q", "-a", "-m", "third")
    write("client/a.cc", RIGHT + "\n")
    git("commit", "-q", "-a", "-m", "fourth")
    expect(1, "storage/new.cc:6")
    write("storage/new.cc", RIGHT + "\n")
    expect(0, "2 files that changed")

    # A header stands for the .cc file of its name.
    git("checkout", "-q", "-f", "-b", "headers", "main")
    write("storage/new.h", "int Right();  // Changed.\n")
    expect(1, "storage/new.cc:6")
print("tidy: cases as expected")
