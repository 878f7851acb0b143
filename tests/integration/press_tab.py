#!/usr/bin/env python3
"""Types command lines into a real interactive shell, with TAB where it has a tab, and prints what becomes of them.

Usage: press_tab.py bash|zsh TOOL SERVER LINE...
Each LINE is typed after the script of `holdfast completion` was loaded. The shell then runs it with another command in
front, which prints the words that the shell made of it: a line of output for each LINE, a JSON list of words. The words
pass through the shell's own parser, so a name that was inserted without quotes would come out changed, or be run.
"""
import json
import os
import pathlib
import pty
import re
import select
import signal
import sys
import time

SECONDS_MAX = 60
# The shells' own files are left out, so that only the script is tested.
SHELLS = {
    "bash": (["bash", "--noprofile", "--norc", "-i"], "bind 'set enable-bracketed-paste off'"),
    "zsh": (["zsh", "-f", "-i"], "unsetopt prompt_cr prompt_sp; bindkey -e; autoload -Uz compinit && compinit -u -D"),
}
SHOW = 'import json,sys; print("\\nWORDS" + json.dumps(sys.argv[1:]) + "END")'


class Shell:
    def __init__(self, name, tool, server):
        argv, setup = SHELLS[name]
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="dumb", HOLDFAST_SERVER=server, HOLDFAST_CONFIG="/nonexistent/config")
            os.environ["PATH"] = f"{pathlib.Path(tool).parent}:{os.environ['PATH']}"
            if name == "zsh":
                os.environ["TERM"] = "xterm"  # zsh edits no lines of a dumb one
            os.execvp(argv[0], argv)
        self.output = ""
        self.deadline = time.monotonic() + SECONDS_MAX
        # The quotes keep the marks out of the echo of these lines.
        self.type(f"{setup}; PS1='[''$]'; source <(holdfast completion {name}); echo REA''DY\n")
        self.wait_for(r"READY[\s\S]*\[\$\]")

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait_for(self, pattern):
        """Reads until the pattern comes; returns the match, and forgets what came before its end."""
        while not (match := re.search(pattern, self.output)):
            left = self.deadline - time.monotonic()
            if left <= 0 or not select.select([self.terminal], [], [], left)[0]:
                raise TimeoutError(f"no {pattern!r} in {self.output!r}")
            try:
                self.output += os.read(self.terminal, 65536).decode(errors="replace")
            except OSError:
                raise EOFError(f"the shell has ended: {self.output!r}") from None
        self.output = self.output[match.end():]
        return match

    def words_of(self, line):
        # Control-A goes to the beginning of the line.
        self.type(line + "\x01show \n")
        words = json.loads(re.sub(r"\r?\n", "", self.wait_for(r"WORDS(\[[\s\S]*?\])END").group(1)))
        self.wait_for(r"\[\$\]")
        return words

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def main():
    name, tool, server, *lines = sys.argv[1:]
    shell = Shell(name, tool, server)
    try:
        shell.type(f"show() {{ python3 -c '{SHOW}' \"$@\"; }}; echo DO''NE\n")
        shell.wait_for(r"DONE[\s\S]*\[\$\]")
        for line in lines:
            print(json.dumps(shell.words_of(line)), flush=True)
    finally:
        shell.end()


main()
