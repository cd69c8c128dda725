"""How the work is done, as opposed to what: no setting here changes which vectors come out."""

from dataclasses import dataclass

from uvl_plugin.core.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class Engine(Settings):
    """Batches, devices, numbers and threads of :func:`uvl_plugin.embed`."""

    batch_size: int | None = setting(
        None,
        ge=1,
        help="Images in one batch; empty: as many as free memory allows and speed asks for.",
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
        "auto",
        choices=("auto", "exact", "reduced", "gpu"),
        label="JPEG decoding",
        help="exact: every pixel. reduced: large files at the smallest scale that covers the "
        "network's input. gpu: on the GPU. auto: exact, or reduced where it was measured "
        "to make no difference.",
    )
    threads: int | None = setting(
        None, ge=1, help="Processor threads for all of the work; empty: one for each core."
    )
