"""The demo: a network learns from 1,797 handwritten digits without their labels; its clusters are
shown in the App, with a database of their own."""

import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from uvl_plugin.adapter import demo_session

if TYPE_CHECKING:
    import fiftyone as fo

    from uvl_plugin.clustering.evaluation_result import Evaluation

DATASET = "uvl-digits"
TRUTH = "label"
NAME = "learned"  # explored with the network that was trained
PIXELS = "pixels"  # clustered for comparison
CHECKPOINT = "uvl-digits"
_WHITE = 16  # brightest value of scikit-learn's digits
_DONE = "uvl_demo"  # in dataset.info, when everything is complete: seconds by stage, evidence
_HELP = """
The App is at http://{address}:{port} - in it:
  - on the left, under LABELS, the arrow of {clusters} lists the clusters: tick one to see it;
    {pixels} has those of the bare pixels
  - the + beside 'Samples' opens the Embeddings panel: choose {map}, coloured by {clusters}.label
  - point at a picture and tick it, then click the magnifier: all pictures, the most similar first
  - the + beside 'Samples' also opens the Training panel: how the network learnt
  - press ` and type 'Train a backbone' or 'Explore this dataset' for your own; Schedule works too
Ctrl-C ends the demo; started again, it has everything that you made in it."""


def demo(folder: str | os.PathLike, *, app: bool, port: int) -> None:
    """Explores the digits, once, prints a report and serves the App until ctrl-C.

    The server of the database stops when the process ends, after FiftyOne has left it.

    Args:
        folder: holds pictures and database.
        app: False to stop after the report.
        port: the App's; the first free one from here.

    Raises:
        MongodError: if there is no ``mongod``, or it does not start.
        DemoError: if the demo runs in this folder already.
        SettingsError: if no port is free.
    """
    folder = Path(folder).absolute()
    if app:
        port = demo_session.free_port(port)
    demo_session.begin(folder)
    dataset = _dataset(folder / "digits")
    if not _is_explored(dataset):
        _explore(dataset)
    print(_report(dataset, folder), flush=True)
    if app:
        from uvl_plugin.api import Names  # imports FiftyOne, so not before

        names = Names.of(NAME)
        said = _HELP.format(
            address=demo_session.ADDRESS, port=port, clusters=names.clusters, map=names.map_key,
            pixels=f"{PIXELS}_cluster",
        )  # fmt: skip
        demo_session.serve(dataset, folder, port, said)


def write_digits(folder: Path) -> list[tuple[Path, str]]:
    """Writes scikit-learn's digits as ``folder/<label>/<number>.png``, those that are missing.

    Returns:
        File and label of each digit.
    """
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * 255 / _WHITE).astype(np.uint8)
    files = [
        (folder / str(label) / f"{number:04}.png", str(label))
        for number, label in enumerate(digits.target)
    ]
    for (file, _), picture in zip(files, pixels, strict=True):
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(file)
    return files


def _dataset(folder: Path) -> "fo.Dataset":
    import fiftyone as fo

    files = write_digits(folder)
    if fo.dataset_exists(DATASET):
        dataset = fo.load_dataset(DATASET)
        if dataset.persistent:
            return dataset
        dataset.delete()  # an earlier demo was stopped before it was complete
    dataset = fo.Dataset(DATASET)
    dataset.add_samples(
        [
            fo.Sample(filepath=str(file), **{TRUTH: fo.Classification(label=label)})
            for file, label in files
        ],
        progress=False,
    )
    dataset.persistent = True
    return dataset


def _is_explored(dataset: "fo.Dataset") -> bool:
    """Whether everything that the report and the App show is there."""
    from uvl_plugin.api import Names

    names = Names.of(NAME)
    return (
        _DONE in dataset.info
        and dataset.has_run(names.run_key)
        and dataset.has_sample_field(names.clusters)
        and dataset.has_sample_field(f"{PIXELS}_cluster")
        and all(dataset.has_brain_run(key) for key in (names.index_key, names.map_key))
    )


def _explore(dataset: "fo.Dataset") -> None:
    import fiftyone as fo

    import uvl_plugin as uvl
    from uvl_plugin.training.evidence import table

    trained = uvl.train(dataset, "simclr", name=CHECKPOINT, labels=TRUTH)
    done = uvl.explore(dataset, NAME, backbone=trained.checkpoint, overwrite=True)
    uvl.embed(dataset, "pixels", f"{PIXELS}_embedding")
    uvl.cluster(
        dataset, embeddings=f"{PIXELS}_embedding", field=f"{PIXELS}_cluster", run_key=PIXELS,
        overwrite=True,
    )  # fmt: skip
    dataset.info[_DONE] = {
        "seconds": {**trained.seconds, **done.seconds},
        "evidence": table(trained.evidence),
        "parts": trained.parts,
    }
    dataset.app_config.active_fields = fo.ActiveFields(paths=[done.names.clusters])
    dataset.app_config.color_scheme = fo.ColorScheme(color_by="value")
    dataset.save()


def _report(dataset: "fo.Dataset", folder: Path) -> str:
    import uvl_plugin as uvl
    from uvl_plugin.api import Names

    clusters = Names.of(NAME).clusters
    sizes = dataset.count_values(f"{clusters}.label")
    learned, pixels = (
        uvl.evaluate(dataset, field, ground_truth=TRUTH)
        for field in (clusters, f"{PIXELS}_cluster")
    )
    done = dataset.info[_DONE]
    width = max(len(name) for name in sizes)
    return "\n".join(
        [
            f"{len(dataset):,} handwritten digits, 8 x 8 pixels, in {folder}",
            f"A compact CNN learnt from {done['parts']['train']:,} of them (SimCLR); {len(sizes)} clusters",
            "were found in its vectors. Neither saw the labels, nor how many there are.",
            *textwrap.wrap(dataset.get_run_info(NAME).config.report["sentence"], 80),
            "",
            *(f"  {name:<{width}}  {sizes[name]:>5}" for name in sorted(sizes)),
            "",
            "agreement of the clusters with the labels, all digits:",
            f"  pixels   {_scores(pixels)}",
            f"  learned  {_scores(learned)}",
            "",
            "did training help? figures of the validation part:",
            done["evidence"],
            "",
            f"seconds: {_seconds(done['seconds'])}",
        ]
    )


def _scores(evaluation: "Evaluation") -> str:
    found = evaluation.agreement
    assert found is not None  # there are labels
    return f"ACC {found.accuracy:.3f}, NMI {found.nmi:.3f}, ARI {found.ari:.3f}"


def _seconds(stages: dict[str, float]) -> str:
    return ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in stages.items())
