"""Segments on the timeline of the App's player."""

import fiftyone as fo


def show_on_timeline(dataset: fo.Dataset, *fields: str) -> None:
    """Lets the App show fields of temporal detections as tracks below a video: in its modal,
    *Annotate*, then *Expand tracks*. FiftyOne shows there only fields that have a label schema
    which is active."""
    for field in fields:
        dataset.update_label_schema(field, dataset.generate_label_schemas(field))
        if field not in dataset.active_label_schemas:
            dataset.activate_label_schemas(field)
