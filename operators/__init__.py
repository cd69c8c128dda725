"""What the App shows: each operator asks, calls one verb of ``uvl_plugin``, and reports."""

from .assign_samples import AssignSamples
from .clusters_panel import ClustersPanel
from .compare_runs import CompareRuns
from .compute_clusters import ComputeClusters
from .compute_embeddings import ComputeEmbeddings
from .edit_clusters import EditClusters
from .evaluate_clusters import EvaluateClusters
from .evaluation_panel import EvaluationPanel
from .explain_cluster import ExplainCluster
from .explore_dataset import ExploreDataset
from .export_view import ExportView
from .find_copies import FindCopies
from .find_duplicates import FindDuplicates
from .find_outliers import FindOutliers
from .find_poor_images import FindPoorImages
from .find_similar_frames import FindSimilarFrames
from .index_similarity import IndexSimilarity
from .label_clusters import LabelClusters
from .name_clusters import NameClusters
from .pool_videos import PoolVideos
from .review_panel import ReviewPanel
from .score_items import ScoreItems
from .score_uniqueness import ScoreUniqueness
from .segment_videos import SegmentVideos
from .select_samples import SelectSamples
from .send_to_annotation import SendToAnnotation
from .show_frames import ShowFrames
from .stop_job import StopJob
from .train_backbone import TrainBackbone
from .train_encoder import TrainEncoder
from .training_panel import TrainingPanel
from .update_dataset import UpdateDataset
from .write_report import WriteReport

OPERATORS = (
    ComputeEmbeddings,
    ComputeClusters,
    ExploreDataset,
    TrainBackbone,
    TrainEncoder,
    PoolVideos,
    SegmentVideos,
    AssignSamples,
    EditClusters,
    EvaluateClusters,
    ExplainCluster,
    NameClusters,
    ScoreItems,
    CompareRuns,
    IndexSimilarity,
    FindSimilarFrames,
    ShowFrames,
    FindDuplicates,
    FindCopies,
    FindOutliers,
    FindPoorImages,
    ScoreUniqueness,
    SelectSamples,
    LabelClusters,
    SendToAnnotation,
    ExportView,
    WriteReport,
    UpdateDataset,
    StopJob,
)
PANELS = (ClustersPanel, TrainingPanel, EvaluationPanel, ReviewPanel)
