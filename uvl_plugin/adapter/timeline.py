"""Segments on the timeline of the App's player."""

import fiftyone as fo
from fiftyone import ViewField as F


def show_on_timeline(dataset: fo.Dataset, *fields: str) -> None:
    """Lets the App show fields of temporal detections as tracks below a video: in its modal,
    *Annotate*, then *Show tracks*. FiftyOne shows there only fields that have a label schema which
    is active, of videos whose metadata it knows: both are seen to here."""
    unknown = dataset.match(~F("metadata.frame_rate").exists())
    unknown.compute_metadata(progress=False)  # a file that cannot be read stays without
    for field in fields:
        dataset.update_label_schema(field, dataset.generate_label_schemas(field))
        if field not in dataset.active_label_schemas:
            dataset.activate_label_schemas(field)
