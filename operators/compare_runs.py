"""Operator: how two runs differ."""

import fiftyone.operators as foo
from fiftyone.operators import types

import uvl_plugin as uvl

from ._clusters import choose_run, chosen_run
from ._forms import mark

_MOST = 30  # rows of the table


class CompareRuns(foo.Operator):
    @property
    def config(self):
        return foo.OperatorConfig(
            name="compare_runs",
            label="Compare two clusterings",
            description="Which clusters are the same, which were split or merged",
            icon="compare_arrows",
            risk_level="low",
            dynamic=True,
        )

    def resolve_input(self, ctx):
        inputs = types.Object()
        first = choose_run(inputs, ctx, "first", "First")
        second = choose_run(inputs, ctx, "second", "Second")
        if first and first == second:
            error = uvl.DataError("Choose two different clusterings.", "second")
            mark(inputs, error, "second")
        return types.Property(inputs, view=types.View(label="Compare two clusterings"))

    def execute(self, ctx):
        found = uvl.compare(ctx.dataset, chosen_run(ctx, "first"), chosen_run(ctx, "second"))
        pairs = sorted(found.table, key=lambda pair: -pair[2])[:_MOST]
        return {
            "said": str(found),
            "pairs": [
                {"first": first, "second": second, "items": f"{count:,}"}
                for first, second, count in pairs
            ],
        }

    def resolve_output(self, ctx):
        outputs = types.Object()
        said = ctx.results["said"].replace("\n", "\n\n")  # Markdown takes one for a space
        outputs.view("said", types.MarkdownView(), default=said)
        table = types.TableView()
        for key, label in {"first": "First", "second": "Second", "items": "Samples"}.items():
            table.add_column(key, label=label)
        outputs.list("pairs", types.Object(), view=table)
        return types.Property(outputs, view=types.View(label="Compared"))
