"""Tables in Markdown, and RESULTS.md, of which each run replaces only its own sections."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.setting import Setting, machine

FILE = Path(__file__).with_name("RESULTS.md")
_COLUMNS = ("work", "items", "FiftyOne", "ours", "measured", "target")
_BEGIN = """# Benchmarks

Made by `make benchmark`; a single table by `.venv/bin/python -m benchmarks <table>`, from the
root of the repository. In each round every contender has its turn in one process (A B C A B
C ...); times are medians of the rounds, ratios medians of the ratios within a round, with least
and greatest. Times include everything from building the network to the last vector in the
database, on both sides. FiftyOne's loader has as many processes as we have threads, and torch as
many threads besides. "CPU" counts this process and its loader processes, not the database. In
brackets, in the place of FiftyOne's time: the floor.
"""


@dataclass(frozen=True)
class Verdict:
    """One line of the summary: what was wanted and what was found."""

    work: str
    items: str
    theirs: str
    ours: str
    measured: str
    target: str

    def row(self) -> list[str]:
        return [f"**{self.work}**", self.items, self.theirs, self.ours, self.measured, self.target]


@dataclass(frozen=True)
class Section:
    """One table.

    Attributes:
        title: what was measured, in words.
        verdicts: go into the summary too; none where nothing could be measured.
        body: Markdown with the details.
    """

    title: str
    verdicts: Sequence[Verdict]
    body: str

    def text(self, name: str, setting: Setting) -> str:
        """Markdown, with how to repeat it and on what machine it was measured."""
        found = table(_COLUMNS, [verdict.row() for verdict in self.verdicts])
        rounds = f"{setting.threads} threads, {setting.rounds} rounds"
        made = f"{date.today()}, {rounds}: `python -m benchmarks {name}`. {machine()}."
        return "\n\n".join((f"## {name}: {self.title}", found, self.body.strip(), made)) + "\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def note(name: str, text: str, order: Sequence[str]) -> None:
    """Puts a section in its place in RESULTS.md, and its verdicts in the summary."""
    before = FILE.read_text() if FILE.exists() else ""
    sections = {
        found[1]: found[0].strip() + "\n"
        for found in re.finditer(r"^## (\w+): .*?(?=^## |\Z)", before, re.DOTALL | re.MULTILINE)
    }
    sections[name] = text
    kept = [sections[each] for each in order if each in sections]
    rows = [line for section in kept for line in section.splitlines() if line.startswith("| **")]
    summary = "\n".join([table(_COLUMNS, []), *rows]) + "\n"
    FILE.write_text("\n".join([_BEGIN, summary, *kept]))
