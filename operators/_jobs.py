"""Long work inside an operator: progress, errors in one sentence, nothing lost with the tab."""

import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import fiftyone.operators as foo
from bson import ObjectId
from fiftyone.operators import types
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionRunState

from uvl_plugin.core.errors import Cancelled, UVLError
from uvl_plugin.core.progress import Progress

R = TypeVar("R")

_logger = logging.getLogger(__name__)
_turn = threading.Lock()  # one job at a time in a process: they share its GPU and its cores
_jobs: list["Job"] = []  # those of this process that have not ended
_WAIT_SECONDS = 0.5  # between looks whether a waiting job was stopped
_LIVE_SECONDS = 0.3  # between progress messages to a browser
_STORED_SECONDS = 2.0  # between progress messages to the database
_STOPPED = "Stopped. What was written stays, and the same job goes on from there."


@dataclass(eq=False)
class Job:
    """Work that has not ended.

    Attributes:
        title: what it is, for a person.
        stopped: set to end it at the next progress message.
    """

    title: str
    stopped: threading.Event = field(default_factory=threading.Event)

    def watched(self, report: Progress) -> Progress:
        """``report``, which raises :class:`Cancelled` once the job was stopped."""

        def forward(fraction: float, message: str = "") -> None:
            if self.stopped.is_set():
                raise Cancelled(_STOPPED)
            report(fraction, message)

        return forward


def jobs_of_this_process() -> list[Job]:
    """Those that have not ended, the oldest first."""
    return list(_jobs)


@dataclass
class Failure:
    """What ended the work."""

    error: BaseException

    def sentence(self) -> str:
        """What a person is told."""
        if isinstance(self.error, UVLError):
            return str(self.error)
        return (
            f"This should not have happened: {type(self.error).__name__}: {self.error}. "
            "The log of the FiftyOne server has the details."
        )


class JobOperator(foo.Operator):
    """An operator that does long work: at once or delegated, with a button over the grid.

    Class attributes:
        about: name, label, description, icon and risk level, as ``foo.OperatorConfig`` takes them.
            Of all operators here, ``"low"`` reads only, ``"medium"`` adds fields, tags, views or
            runs that can be removed again, ``"high"`` changes what is there, and ``"dangerous"``
            writes files where the user says or sends data to another machine.
    """

    about: ClassVar[dict[str, str]]

    @property
    def config(self):
        return foo.OperatorConfig(
            **self.about,
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_placement(self, ctx):
        button = types.Button(label=self.about["label"], icon=self.about["icon"], prompt=True)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)


def run_job(
    ctx: foo.ExecutionContext,
    title: str,
    work: Callable[[Progress], R],
    *,
    show: Callable[[R], Iterator[Any]],
    summary: Callable[[R], dict],
) -> Any:
    """Runs ``work`` where the user asked for it.

    At once: in a thread of its own, so that it goes on when the tab is closed; the generator
    returned here tells the App about it. Delegated: right here, with progress kept in the
    database.

    Args:
        title: what it is, for a person who may want to stop it.
        work: called with a progress callable.
        show: what the App does with the result: triggers to yield.
        summary: the result as JSON types, kept with a delegated operation.
    """
    job = Job(f"{title}, {ctx.dataset.name}")
    if ctx.delegated:
        report = _throttled(lambda done, said: _store_progress(ctx, done, said), _STORED_SECONDS)
        return summary(_in_turn(job, work, report))
    return _live(ctx, job, work, show)


def _store_progress(ctx: foo.ExecutionContext, fraction: float, message: str) -> None:
    """Also ends the work where ``fiftyone delegated fail`` or the operator *Stop a job* said so."""
    ctx.set_progress(fraction, message)
    operation = DelegatedOperationService().get(ObjectId(ctx._delegated_operation_id))
    if operation.run_state == ExecutionRunState.FAILED:
        raise Cancelled(_STOPPED)


def _live(
    ctx: foo.ExecutionContext,
    job: Job,
    work: Callable[[Progress], R],
    show: Callable[[R], Iterator[Any]],
) -> Iterator[Any]:
    events: queue.SimpleQueue = queue.SimpleQueue()
    report = _throttled(lambda done, said: events.put((done, said)), _LIVE_SECONDS)

    def worker() -> None:
        try:
            events.put(_Done(_in_turn(job, work, report)))
        except BaseException as error:  # handed over, to be shown
            if not isinstance(error, UVLError):
                _logger.exception("A job of the plugin failed")
            events.put(Failure(error))

    threading.Thread(target=worker, name="uvl-job", daemon=True).start()
    while True:
        event = events.get()
        if isinstance(event, _Done):
            yield from show(event.result)
            return
        if isinstance(event, Failure):
            yield ctx.ops.reload_dataset()
            yield show_message(ctx, "error", event.sentence())
            raise event.error
        fraction, said = event
        yield ctx.ops.set_progress(label=said, progress=fraction)


@dataclass
class _Done:
    result: Any


def show_message(ctx: foo.ExecutionContext, severity: str, text: str) -> Any:
    """A dialog that stays until it is closed: ``severity`` is success, warning or error."""
    outputs = types.Object()
    outputs.view("message", types.AlertView(severity=severity, label=text))
    # as JSON: a generator's messages go through plain json.dumps
    return ctx.ops.show_output(types.Property(outputs, view=types.View()).to_json(), {})


def _in_turn(job: Job, work: Callable[[Progress], R], report: Progress) -> R:
    watched = job.watched(report)
    _jobs.append(job)
    try:
        while not _turn.acquire(timeout=_WAIT_SECONDS):
            watched(0.0, "waiting for another job to end")
        try:
            return work(watched)
        finally:
            _turn.release()
    finally:
        _jobs.remove(job)


def _throttled(report: Progress, seconds: float) -> Progress:
    """Passes on at most one message in ``seconds``, but every change of the stage."""
    reported, shown = float("-inf"), ""

    def forward(fraction: float, message: str = "") -> None:
        nonlocal reported, shown
        stage, now = re.sub(r"[\d.,:]+", "", message), time.monotonic()
        if stage != shown or now - reported >= seconds or fraction >= 1.0:
            reported, shown = now, stage
            report(fraction, message)

    return forward
