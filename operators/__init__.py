"""What the App shows: each operator asks, calls one verb of ``uvl_plugin``, and reports."""

from .compute_clusters import ComputeClusters
from .compute_embeddings import ComputeEmbeddings
from .explore_dataset import ExploreDataset
from .stop_job import StopJob
from .train_backbone import TrainBackbone
from .training_panel import TrainingPanel

OPERATORS = (ComputeEmbeddings, ComputeClusters, ExploreDataset, TrainBackbone, StopJob)
PANELS = (TrainingPanel,)
