"""What operators on videos share."""

from ._jobs import JobOperator
from ._vectors import holds_videos


class VideoOperator(JobOperator):
    """Long work on videos: there is a button only over a grid of these."""

    def resolve_placement(self, ctx):
        return super().resolve_placement(ctx) if holds_videos(ctx.dataset) else None
