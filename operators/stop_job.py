"""Operator: ends a job that runs, at once or scheduled; what it wrote stays."""

import fiftyone.operators as foo
from bson import ObjectId
from fiftyone.operators import types
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionRunState

from ._jobs import jobs_of_this_process

_OURS = "uvl_plugin/"


class StopJob(foo.Operator):
    @property
    def config(self):
        return foo.OperatorConfig(
            name="stop_job",
            label="Stop a job",
            description="End a job of this plugin; the same job can be taken up again later",
            icon="stop_circle",
            risk_level="medium",
            dynamic=True,
        )

    def resolve_input(self, ctx):
        inputs = types.Object()
        choices = types.DropdownView()
        for key, title in _running().items():
            choices.add_choice(key, label=title)
        names = choices.values()
        if names:
            inputs.enum("job", names, default=names[0], label="Job", view=choices)
        else:
            inputs.view("none", types.Notice(label="No job of this plugin is running."))
        return types.Property(inputs, view=types.View(label="Stop a job"))

    def execute(self, ctx):
        running = _running()
        key = ctx.params.get("job") or next(iter(running), None)
        if key in running:
            _stop(key)
        return {"stopped": running.get(key, "nothing")}

    def resolve_output(self, ctx):
        outputs = types.Object()
        outputs.str("stopped", label="Stopped")
        return types.Property(outputs)


def _running():
    """Title of each job by its key: those of this process, and scheduled ones in any."""
    here = {f"here {id(job)}": job.title for job in jobs_of_this_process()}
    scheduled = {
        f"scheduled {job.id}": f"{job.operator.removeprefix(_OURS).replace('_', ' ')} (scheduled)"
        for job in DelegatedOperationService().list_operations(run_state=ExecutionRunState.RUNNING)
        if job.operator.startswith(_OURS)
    }
    return {**here, **scheduled}


def _stop(key):
    where, _, number = key.partition(" ")
    if where == "scheduled":
        DelegatedOperationService().set_failed(ObjectId(number))
        return
    for job in jobs_of_this_process():
        if str(id(job)) == number:
            job.stopped.set()
