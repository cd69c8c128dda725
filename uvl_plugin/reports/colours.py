"""Colours of clusters: the same one in the map and in the table."""

NOISE = "#c9ced6"
OTHERS = "#8f98a3"
CLUSTERS = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#2a9d9c", "#d4a90f", "#9d7660",
    "#d37295", "#6a51a3", "#1b7837", "#a6611a", "#1f9bd1", "#e7298a", "#7aa63a", "#7570b3",
    "#c2571a", "#17a8b8", "#8f9c1f", "#8c564b", "#7fb2dc", "#f7b26a", "#86cf7a", "#f59a98",
    "#cfa3c6", "#7cc4c0", "#e6cf6a", "#c9ab95", "#eda6bf", "#a99bd0",
)  # fmt: skip


def colours_of(n_clusters: int) -> tuple[str, ...]:
    """One for each cluster, the largest first; those after the 30th share a grey."""
    return tuple(
        CLUSTERS[place] if place < len(CLUSTERS) else OTHERS for place in range(n_clusters)
    )
