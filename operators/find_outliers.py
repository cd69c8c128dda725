"""Operator: images, objects or frames unlike anything near them."""

from typing import ClassVar

from uvl_plugin.cleaning import check_find_outliers, find_outliers

from ._cleaning import CleaningOperator


class FindOutliers(CleaningOperator):
    about: ClassVar = {
        "name": "find_outliers",
        "label": "Find outliers",
        "description": "Images, objects, frames or videos unlike anything near them",
        "icon": "report",
        "risk_level": "medium",
    }
    verb, check = find_outliers, check_find_outliers
    field = "outlier"
    names = "Where the score goes; also the name of the tag and of the saved view."
    number = (
        "cut",
        "Cut",
        (
            "The score above which an item counts as an outlier, 0 to 1; 0.5 is an item like those "
            "around it. Empty: found from the scores, far above the usual one."
        ),
    )

    def summary(self, result):
        return {
            "field": result.field,
            "scored": len(result.scores),
            "outliers": len(result.above),
            "cut": result.cut,
            "without_vector": result.n_missing,
            "view": result.view,
        }
