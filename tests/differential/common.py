"""What every comparison here needs: our answers, and the table of reasons."""

import argparse
import collections
import json
import pathlib
import random
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
SHOWN_AT_MOST = 3


def arguments(cases):
    """The options of a comparison; `cases` is its default size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--subject", required=True, help="the built differential-subject")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=int, default=1, help="so many times the default size")
    chosen = parser.parse_args()
    chosen.cases = cases * chosen.times
    chosen.random = random.Random(chosen.seed)
    return chosen


def ask(subject, mode, questions):
    """Our answer to each question."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run(
        [subject, mode], input=lines, stdout=subprocess.PIPE, text=True, check=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(questions), "an answer for each question"
    return answers


class Verdict:
    """Disagreements, each with a reason in the README's table, or wrong.

    A listed one that no longer occurs is wrong as well: the table says what is
    so today.
    """

    def __init__(self, subject_of, seed):
        table = (HERE / "README.md").read_text(encoding="utf-8")
        names = re.findall(r"^\| `([a-z]+\.[a-z0-9-]+)` \|", table, re.MULTILINE)
        self.listed = {name for name in names if name.startswith(subject_of + ".")}
        self.subject_of, self.seed = subject_of, seed
        self.seen = collections.Counter()
        self.compared = 0
        self.wrong = []

    def agree(self):
        self.compared += 1

    def differ(self, name, *details):
        """A disagreement, by the name that its reason has (or would have)."""
        self.compared += 1
        name = f"{self.subject_of}.{name}"
        self.seen[name] += 1
        if name not in self.listed and self.seen[name] <= SHOWN_AT_MOST:
            self.wrong.append("\n  ".join([f"{name} is not listed:", *(str(detail)[:2000] for detail in details)]))

    def end(self):
        """Prints what was found and leaves with the result."""
        gone = sorted(self.listed - set(self.seen))
        for name in gone:
            self.wrong.append(f"{name} is listed and did not occur")
        for name, count in sorted(self.seen.items()):
            print(f"  {count:6}  {name}")
        print(f"{self.subject_of}: {self.compared} comparisons, "
              f"{sum(self.seen.values())} differences, {len(self.wrong)} wrong")
        for text in self.wrong:
            print("WRONG:", text, file=sys.stderr)
        if self.wrong:
            print(f"{self.subject_of}: repeat with --seed {self.seed}", file=sys.stderr)
        sys.exit(bool(self.wrong))
