"""An annotation tool that runs in the tests, as FiftyOne's extension point takes one."""

import fiftyone as fo
from fiftyone.utils.annotations import (
    AnnotationBackend,
    AnnotationBackendConfig,
    AnnotationResults,
)

CONFIG = f"{__name__}.ToolConfig"
ANSWER = "tulip"  # what the person at the tool says of every sample


class ToolConfig(AnnotationBackendConfig):
    """Takes a secret, as all of them do."""

    def __init__(self, name, label_schema, media_field="filepath", api_key=None, **kwargs):
        super().__init__(name, label_schema, media_field=media_field, **kwargs)
        self._api_key = api_key


class Tool(AnnotationBackend):
    supported_media_types = ("image",)
    supported_label_types = ("classification", "classifications", "detections")
    supported_scalar_types = ()
    supported_attr_types = ("text",)
    supports_keyframes = False
    supports_video_sample_fields = False
    requires_label_schema = True

    def recommend_attr_tool(self, name, value):
        return {"type": "text"}

    def requires_attr_values(self, attr_type):
        return False

    def upload_annotations(self, samples, anno_key, launch_editor=False):
        key = self.config._api_key
        if key == "wrong":
            raise PermissionError(f"401: the key {key} is not known")
        ids = {
            field: dict(zip(*samples.values(["id", f"{field}.id"]), strict=True))
            for field in self.config.label_schema
            if samples.get_field(field) is not None
        }
        return ToolResults(samples, self.config, anno_key, ids, backend=self)

    def download_annotations(self, results):
        found = {}
        for field in self.config.label_schema:
            labels = {}
            for sample in results.samples:
                label = fo.Classification(label=ANSWER)
                known = results.id_map.get(field, {}).get(sample.id)
                labels[sample.id] = {known or label.id: label}
            found[field] = {"classifications": labels}
        return found


class ToolResults(AnnotationResults):
    @classmethod
    def _from_dict(cls, d, samples, config, anno_key):
        return cls(samples, config, anno_key, d["id_map"])
