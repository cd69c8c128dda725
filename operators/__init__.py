"""What the App shows: each operator asks, calls one verb of ``uvl_plugin``, and reports."""

from .assign_samples import AssignSamples
from .compare_runs import CompareRuns
from .compute_clusters import ComputeClusters
from .compute_embeddings import ComputeEmbeddings
from .edit_clusters import EditClusters
from .evaluate_clusters import EvaluateClusters
from .evaluation_panel import EvaluationPanel
from .explain_cluster import ExplainCluster
from .explore_dataset import ExploreDataset
from .find_copies import FindCopies
from .find_duplicates import FindDuplicates
from .find_outliers import FindOutliers
from .index_similarity import IndexSimilarity
from .score_items import ScoreItems
from .score_uniqueness import ScoreUniqueness
from .stop_job import StopJob
from .train_backbone import TrainBackbone
from .training_panel import TrainingPanel
from .update_dataset import UpdateDataset

OPERATORS = (
    ComputeEmbeddings,
    ComputeClusters,
    ExploreDataset,
    TrainBackbone,
    AssignSamples,
    EditClusters,
    EvaluateClusters,
    ExplainCluster,
    ScoreItems,
    CompareRuns,
    IndexSimilarity,
    FindDuplicates,
    FindCopies,
    FindOutliers,
    ScoreUniqueness,
    UpdateDataset,
    StopJob,
)
PANELS = (TrainingPanel, EvaluationPanel)
