from ._centroids import kmeans, start_centroids
from ._cluster_weight import cluster_weight
from ._clustering import Clustering
from ._report import ClusteringReport, LayerClusters
from ._schedules import HalvingClusters
from ._space import Space
from ._targets import Target, find_targets

__all__ = [
    "Clustering",
    "ClusteringReport",
    "HalvingClusters",
    "LayerClusters",
    "Space",
    "Target",
    "cluster_weight",
    "find_targets",
    "kmeans",
    "start_centroids",
]
