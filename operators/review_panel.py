"""Panel: going through what was found, queue by queue; keep or exclude."""

import functools

import fiftyone.operators as foo
from fiftyone.operators import types

import uvl_plugin as uvl

PANEL = "uvl_review"
_MOST = 200_000  # items that one click decides about


def _told(callback):
    """An error in a callback is told to the user; raised, it would take the panel's place."""

    @functools.wraps(callback)
    def safe(self, ctx):
        try:
            callback(self, ctx)
        except uvl.UVLError as error:
            ctx.ops.notify(str(error), variant="error")
        except Exception as error:  # noqa: BLE001 - whatever it is, the panel stays
            said = f"This should not have happened: {type(error).__name__}: {error}."
            ctx.ops.notify(said, variant="error")

    return safe


class ReviewPanel(foo.Panel):
    @property
    def config(self):
        return foo.PanelConfig(
            name=PANEL,
            label="Review",
            icon="rule",
            surfaces="grid",
            help_markdown=(
                "What was found: outliers, near-duplicates, copies, poor images, labels that may "
                "be wrong, picks. Keep or exclude; nothing is ever deleted."
            ),
        )

    @_told
    def on_load(self, ctx):
        _look(ctx)

    @_told
    def on_change_dataset(self, ctx):
        ctx.panel.state.queue = None
        _look(ctx)

    @_told
    def look(self, ctx):
        """Counts anew."""
        _look(ctx)

    @_told
    def show_queue(self, ctx):
        """Shows the items of a queue about which nothing was decided."""
        ctx.panel.state.queue = ctx.params["queue"]
        _show(ctx, _review(ctx))

    @_told
    def keep_selected(self, ctx):
        _decide(ctx, "keep", _selected(ctx))

    @_told
    def exclude_selected(self, ctx):
        _decide(ctx, "exclude", _selected(ctx))

    @_told
    def keep_shown(self, ctx):
        _decide(ctx, "keep", _shown(ctx))

    @_told
    def exclude_shown(self, ctx):
        _decide(ctx, "exclude", _shown(ctx))

    @_told
    def undo(self, ctx):
        """Takes the last decision back."""
        review = _review(ctx)
        n_items = review.undo()
        ctx.ops.notify(f"Taken back: {n_items:,} items.", variant="success")
        _after(ctx, review)

    @_told
    def show_excluded(self, ctx):
        ctx.panel.state.queue = None
        ctx.ops.set_view(_review(ctx).excluded)

    @_told
    def show_others(self, ctx):
        ctx.panel.state.queue = None
        ctx.ops.set_view(_review(ctx).without_excluded)

    def render(self, ctx):
        panel, queues = types.Object(), ctx.panel.state.queues or []
        if not queues:
            panel.md(
                f"Nothing was found in **{ctx.dataset.name}** yet. Press `` ` `` and choose **Find "
                "outliers**, **Find near-duplicates**, **Find copies of files**, **Find poor "
                "images** or **Evaluate clusters**.",
                name="nothing",
            )
        else:
            self._add_queues(panel, queues, ctx.panel.state.queue)
        self._add_buttons(panel, ctx)
        return types.Property(panel, view=types.GridView(orientation="vertical", gap=2, pad=2))

    def _add_queues(self, panel, queues, chosen):
        panel.md(_said(queues), name="said")
        for number, queue in enumerate(queues):
            shown = "contained" if queue["name"] == chosen else "outlined"
            panel.btn(
                f"queue_{number}",
                label=f"{queue['label']}: {queue['left']:,} of {queue['all']:,} left",
                on_click=self.show_queue,
                params={"queue": queue["name"]},
                variant=shown,
            )

    def _add_buttons(self, panel, ctx):
        panel.md("Nothing is ever deleted: decisions are tags.", name="how")
        chosen = panel.h_stack("chosen", gap=2)
        chosen.btn("keep_selected", label="Keep selected", on_click=self.keep_selected)
        chosen.btn("exclude_selected", label="Exclude selected", on_click=self.exclude_selected)
        shown = panel.h_stack("shown", gap=2)
        shown.btn("keep_shown", label="Keep all shown", on_click=self.keep_shown)
        shown.btn("exclude_shown", label="Exclude all shown", on_click=self.exclude_shown)
        others = panel.h_stack("others", gap=2)
        others.btn("undo", label="Undo", on_click=self.undo)
        others.btn("show_excluded", label="Show excluded", on_click=self.show_excluded)
        others.btn("show_others", label="Show the others", on_click=self.show_others)
        others.btn("look", label="Count again", on_click=self.look)


def _review(ctx):
    ctx.dataset.reload()  # another process may have found something
    return uvl.review(ctx.dataset)


def _look(ctx, review=None):
    """Keeps names and numbers of the queues, so that a click on the grid counts nothing anew."""
    ctx.panel.state.queues = [
        {"name": queue.name, "label": queue.label, "all": queue.n_items, "left": queue.n_left}
        for queue in (review or _review(ctx)).queues
    ]


def _show(ctx, review):
    """Shows what is left of the queue, and counts."""
    name = ctx.panel.state.queue
    if name:
        view = review.view(name)
        ctx.ops.set_view(view)
        if not view:
            ctx.ops.notify("Nothing is left in this queue.", variant="success")
    _look(ctx, review)


def _decide(ctx, decision, ids):
    review = _review(ctx)
    done = review.keep(ids) if decision == "keep" else review.exclude(ids)
    ctx.ops.notify(str(done), variant="success")
    _after(ctx, review)


def _after(ctx, review):
    ctx.ops.clear_selected_samples()
    ctx.ops.reload_dataset()
    _show(ctx, review)


def _selected(ctx):
    if not ctx.selected:
        raise uvl.DataError("Select items in the grid first.")
    return list(ctx.selected)


def _shown(ctx):
    """Ids of what the grid shows; all of a dataset is hardly meant."""
    if not ctx.view._stages:
        raise uvl.DataError("The grid shows everything; click a queue or filter first.")
    n_shown = len(ctx.view)
    if n_shown > _MOST:
        raise uvl.DataError(
            f"The grid shows {n_shown:,} items; filter it down to {_MOST:,}, or decide in Python: "
            "uvl.review(dataset).exclude(view)."
        )
    return ctx.view.values("id")


def _said(queues):
    n_all, n_left = (sum(queue[key] for queue in queues) for key in ("all", "left"))
    return f"**{n_all - n_left:,} of {n_all:,}** decided. Click a queue to see what is left of it."
