"""A teacher that follows the network that is trained."""

import copy
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def teacher_of(student: "nn.Module") -> "nn.Module":
    """A copy that no gradient reaches."""
    return copy.deepcopy(student).requires_grad_(False)


def follow(student: "nn.Module", teacher: "nn.Module", momentum: float, done: float) -> None:
    """Moves the teacher's parameters towards the student's.

    Their share that stays rises on a cosine from ``momentum`` to 1 (arXiv:2006.07733, section
    3.2). Running means of batch norms are left alone: the teacher keeps those of its own.

    Args:
        momentum: 0 to 1.
        done: share of the steps that lie behind, 0 to 1.
    """
    from lightly.models.utils import update_momentum

    risen = 1.0 - (1.0 - momentum) * (math.cos(math.pi * done) + 1.0) / 2.0
    update_momentum(student, teacher, risen)
