"""What the operators that look for single items have in common: form, work, and the view at the
end."""

from collections.abc import Callable
from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl

from ._forms import mark
from ._jobs import JobOperator, run_job, show_message
from ._vectors import add_names, choose_vectors, chosen_names, chosen_number, chosen_vectors


class CleaningOperator(JobOperator):
    """An operator on one verb that looks for single items.

    Class attributes:
        verb, check: the verb, and what raises its errors before any work.
        field, names: the default name of what is written, and what it stands for.
        number: name, label and description of a number that may be left empty; None for none.
        on_vectors: whether it compares vectors, and so asks for their field.
    """

    verb: ClassVar[Callable]
    check: ClassVar[Callable]
    field: ClassVar[str]
    names: ClassVar[str] = "Stands in the names of the fields, the tag and the saved view."
    number: ClassVar[tuple[str, str, str] | None] = None
    on_vectors: ClassVar[bool] = True

    def resolve_input(self, ctx):
        inputs = types.Object()
        if self.on_vectors:
            choose_vectors(inputs, ctx)
        if self.number is not None:
            name, label, description = self.number
            inputs.float(name, label=label, description=description)
        self.ask(inputs, ctx)
        add_names(inputs, self.field, self.names)
        try:
            type(self).check(ctx.target_view(), **self._arguments(ctx))
        except uvl.UVLError as error:
            mark(inputs, error, "embeddings" if self.on_vectors else "field")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def ask(self, inputs, ctx):
        """Adds what only this operator asks for."""

    def asked(self, ctx):
        """That, as the verb takes it."""
        return {}

    def execute(self, ctx):
        samples, arguments, verb = ctx.target_view(), self._arguments(ctx), type(self).verb
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: verb(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, samples, result),
            summary=self.summary,
        )

    def summary(self, result):
        """The result as JSON types."""
        raise NotImplementedError

    def view_of(self, ctx, samples, result):
        """Shows the saved view that was just made, if there is one. The App knows by name only those
        that were there when the page was opened, so it gets the view itself as well."""
        if result.view is None:
            return None
        ctx.dataset.reload()
        return ctx.ops.set_view(view=ctx.dataset.load_saved_view(result.view), name=result.view)

    def _arguments(self, ctx):
        number = {} if self.number is None else {self.number[0]: chosen_number(ctx, self.number[0])}
        vectors = chosen_vectors(ctx) if self.on_vectors else {}
        return {**vectors, **number, **chosen_names(ctx, self.field), **self.asked(ctx)}

    def _show(self, ctx, samples, result):
        yield ctx.ops.reload_dataset()
        if (shown := self.view_of(ctx, samples, result)) is not None:
            yield shown
        failed = getattr(result, "failures", None)
        yield show_message(ctx, "warning" if failed else "success", str(result))


class GroupsOperator(CleaningOperator):
    """One whose verb finds groups of items that are the same, or nearly."""

    def summary(self, result):
        return {
            "field": result.field,
            "compared": result.n_items,
            "duplicates": len(result.of),
            "groups": result.n_groups,
            "by": result.by,
            "threshold": result.threshold,
            "without_vector": result.n_missing,
            "failed": len(result.failures),
            "view": result.view,
        }
