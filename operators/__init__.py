"""What the App shows: each operator asks, calls one verb of ``uvl_plugin``, and reports."""

from .compute_clusters import ComputeClusters
from .compute_embeddings import ComputeEmbeddings
from .explore_dataset import ExploreDataset
from .stop_job import StopJob

OPERATORS = (ComputeEmbeddings, ComputeClusters, ExploreDataset, StopJob)
