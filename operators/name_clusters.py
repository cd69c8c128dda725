"""Operator: names for clusters, proposed from words or labels."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.accepting import check_minimum
from uvl_plugin.adapter.cluster_counts import label_fields
from uvl_plugin.adapter.clusterings import clustering_keys, items_of, place_of, record_of
from uvl_plugin.adapter.vectors import backbone_of
from uvl_plugin.backbones.base import Backbone, backbones
from uvl_plugin.core.progress import part
from uvl_plugin.curation.vocabulary import IMAGENET, words_in
from uvl_plugin.proposing import PROMPTS, SEVERAL_PROMPTS, check_propose

from ._clusters import choose_run, chosen_run, shown_field
from ._forms import SUITABLE, choose_backbone, chosen_backbone, mark
from ._jobs import JobOperator, run_job, show_message

_SOURCES = {
    IMAGENET: "The 1,000 classes of ImageNet",
    "words": "Words that I type",
    "file": "A text file of words",
    "labels": "A field of labels",
}
_OWN = "The network that made the vectors of the run: no picture is read."
_BACKBONE = "open_clip"  # where that one does not know text
_PER_CLUSTER = 24
_SAID = 3  # proposals that the message names


class NameClusters(JobOperator):
    about: ClassVar = {
        "name": "name_clusters",
        "label": "Suggest names",
        "description": "Names for clusters, from a vocabulary or from labels, to be accepted",
        "icon": "label",
        "risk_level": "high",
    }

    def resolve_input(self, ctx):
        inputs = types.Object()
        run_key = choose_run(inputs, ctx)
        choices = types.DropdownView()
        for name, label in _SOURCES.items():
            choices.add_choice(name, label=label)
        inputs.enum(
            "source", choices.values(), default=IMAGENET, label="Names from", view=choices
        )  # fmt: skip
        if run_key in clustering_keys(ctx.dataset):
            _ASK.get(_source(ctx), _ask_nothing)(inputs, ctx, run_key)
            if _source(ctx) != "labels":
                _ask_network(inputs, ctx, run_key)
            _ask_accept(inputs, ctx)
            try:
                check_minimum(_minimum(ctx))
                check_propose(ctx.dataset, run_key, **_arguments(ctx))
            except uvl.UVLError as error:
                mark(inputs, error, "source")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        run_key, arguments = chosen_run(ctx), _arguments(ctx)
        accept, minimum = ctx.params.get("accept", False), _minimum(ctx)
        check_minimum(minimum)

        def work(progress):
            proposed = uvl.propose_names(
                ctx.dataset, run_key, **arguments, progress=part(progress, 0.0, 0.9)
            )
            if not (accept and any(proposed.names.values())):
                return proposed, None
            who = ctx.user_id or ""
            return proposed, uvl.accept_names(ctx.dataset, run_key, minimum=minimum, who=who)

        return run_job(
            ctx,
            self.about["label"],
            work,
            show=lambda result: _show(ctx, *result),
            summary=lambda result: {
                "proposals": {
                    cluster: [{"name": name, "score": score} for name, score in names]
                    for cluster, names in result[0].names.items()
                },
                "renamed": {} if result[1] is None else result[1].renamed,
                "failed": len(result[0].failures),
            },
        )


def _show(ctx, proposed, accepted):
    yield ctx.ops.reload_dataset()
    if accepted is not None:
        yield ctx.ops.set_active_fields([shown_field(ctx, proposed.run_key)])
    yield show_message(ctx, *proposed_message(proposed, accepted))


def proposed_message(proposed, accepted=None):
    """Severity and sentences for a person."""
    first = [(cluster, names[0]) for cluster, names in proposed.names.items() if names]
    if not first:
        return "warning", f"No name was found from {proposed.source}."
    listed = ", ".join(
        f"{cluster}: {name.name} ({name.score:.2f})" for cluster, name in first[:_SAID]
    )
    said = (
        f"Names for {len(first):,} of {len(proposed.names):,} clusters, from {proposed.source}. "
        f"{listed}{' and more' if len(first) > _SAID else ''}."
    )
    if accepted is not None:
        said += f" {accepted} Undo takes a name back."
    else:
        said += " The panel Clusters shows them, to be accepted."
    if proposed.failures:
        said += f" {len(proposed.failures):,} pictures could not be read."
    return "warning" if proposed.failures else "success", said


def _ask_words(inputs, ctx, run_key):
    inputs.str("words", required=True, label="Words", description="With commas between them.")


def _ask_file(inputs, ctx, run_key):
    inputs.str(
        "file", required=True, label="Text file",
        description="On the server: a .txt file, one noun a line; 80,000 nouns are no problem.",
    )  # fmt: skip


def _ask_labels(inputs, ctx, run_key):
    fields = _label_fields(ctx, run_key)
    inputs.enum(
        "labels", fields, default=fields[0] if fields else None, label="Labels",
        description="The most common label of each cluster, and the share that has it.",
    )  # fmt: skip
    if not fields:
        missing = uvl.DataError("These items have no field of labels; choose words.", "labels")
        mark(inputs, missing, "labels")


def _ask_nothing(inputs, ctx, run_key):
    """ImageNet."""


def _ask_network(inputs, ctx, run_key):
    own = _knows_text(ctx, run_key)
    kinds = tuple(entry for entry in backbones if entry.has_text is not Backbone.has_text)
    choose_backbone(
        inputs, ctx, SUITABLE if own else _BACKBONE, kind=kinds, suitable=_OWN if own else ""
    )
    inputs.int(
        "per_cluster", default=_PER_CLUSTER, min=1, max=500, label="Members of each cluster",
        description="The most typical ones, with which words are compared.",
    )  # fmt: skip
    inputs.bool(
        "several_prompts", default=False, label="Several phrasings of each word",
        description="Such as 'a close-up photo of a ...'; steadier, and four times the words.",
    )  # fmt: skip


def _ask_accept(inputs, ctx):
    inputs.bool(
        "accept", default=False, label="Accept the first name of each cluster at once",
        description="Clusters that a person named keep their name; each can be undone.",
    )  # fmt: skip
    if ctx.params.get("accept", False):
        inputs.float(
            "minimum", default=0.0, min=0.0, max=1.0, label="Least score",
            description="0 to 1; about the share of the members that would be called so.",
        )  # fmt: skip


_ASK = {"words": _ask_words, "file": _ask_file, "labels": _ask_labels}


def _source(ctx):
    return ctx.params.get("source") or IMAGENET


def _minimum(ctx):
    return float(ctx.params.get("minimum") or 0.0)


def _arguments(ctx):
    """What the verb takes."""
    source = _source(ctx)
    if source == "labels":
        fields = _label_fields(ctx, chosen_run(ctx))
        return {"labels": ctx.params.get("labels") or next(iter(fields), "")}
    given = {
        "words": lambda: words_in(ctx.params.get("words") or ""),
        "file": lambda: ctx.params.get("file") or "",
    }
    own = _knows_text(ctx, chosen_run(ctx))
    return {
        "vocabulary": given.get(source, lambda: IMAGENET)(),
        "backbone": chosen_backbone(ctx, SUITABLE if own else _BACKBONE),
        "per_cluster": int(ctx.params.get("per_cluster") or _PER_CLUSTER),
        "prompts": SEVERAL_PROMPTS if ctx.params.get("several_prompts") else PROMPTS,
    }


def _label_fields(ctx, run_key):
    config = record_of(ctx.dataset, run_key)
    return list(label_fields(place_of(items_of(ctx.dataset, run_key, config), config)))


def _knows_text(ctx, run_key):
    """Whether the network that made the vectors of the run does."""
    try:
        return backbone_of(ctx.dataset, record_of(ctx.dataset, run_key).embeddings).has_text
    except uvl.UVLError:  # nobody knows which it was, or it is gone
        return False
