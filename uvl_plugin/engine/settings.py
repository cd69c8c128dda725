"""How the work is done, as opposed to what: but for ``decode`` and ``precision``, which change
the vectors a little, no setting here changes what comes out."""

from dataclasses import dataclass

from uvl_plugin.core.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class Engine(Settings):
    """Batches, devices, numbers and threads of :func:`uvl_plugin.embed`."""

    batch_size: int | None = setting(
        None,
        ge=1,
        help="Images in one batch, fewer where that is faster; empty: as many as free memory "
        "allows.",
    )
    device: str = setting(
        "auto",
        help="auto, cpu, cuda, cuda:1 or mps; several GPUs of this machine: cuda:0,cuda:1 or "
        "cuda:all.",
    )
    precision: str = setting(
        "auto",
        choices=("auto", "fp32", "bf16", "fp16"),
        help="What the network computes in. auto: half precision on a GPU, where the first batch "
        "agrees with fp32.",
    )
    decode: str = setting(
        "exact",
        choices=("exact", "reduced", "gpu"),
        label="JPEG decoding",
        help="exact: every pixel. reduced: at the smallest scale that covers the network's input; "
        "many times as fast for large photos, and the vectors differ a little. gpu: on the GPU.",
    )
    threads: int | None = setting(
        None, ge=1, help="Processor threads for all of the work; empty: one for each core."
    )
