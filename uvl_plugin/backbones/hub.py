"""Published weights: from the user's folder, from an earlier download, or from their hub."""

import contextlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from uvl_plugin.backbones.weights import SUFFIXES, read_weights
from uvl_plugin.core.errors import WeightsError

if TYPE_CHECKING:
    import torch

FOLDER = "UVL_WEIGHTS"  # the environment variable that names the user's folder
_PATIENCE = 10  # seconds that a hub may take to answer
_CHECKSUM = re.compile(r"-([0-9a-f]{8,})\.")  # of the file, in its name
_HIDDEN = (  # what an error of a hub may tell, but nobody should read
    re.compile(r"hf_\w+"),
    re.compile(r"(?<=//)[^/\s@]+@"),
    re.compile(r"(?<=\?)[^\s'\")>]+"),
)


@dataclass(frozen=True, kw_only=True)
class Published:
    """One file of weights that somebody published.

    Attributes:
        what: for messages: "timm's resnet50.a1_in1k".
        names: names of the file in the user's folder, without suffix; see :func:`find_weights`.
        url: where a person can download it.
        repository: where it lies on the Hugging Face hub; empty: only at ``url``.
        filenames: its names there, of which the first that exists is taken.
        argument: the setting that may name a local file instead.
    """

    what: str
    names: tuple[str, ...]
    url: str
    repository: str = ""
    filenames: tuple[str, ...] = ()
    argument: str = "weights"

    def path(self) -> str:
        """The file on this machine; downloads it where it is not there yet.

        Raises:
            WeightsError: if it cannot be had; says what to put where.
        """
        found = find_weights(*self.names)
        if found is not None:
            return found
        try:
            return self._from_hugging_face() if self.repository else self._from_url()
        except Exception as error:  # no network, no access, no such file, a wrong checksum
            raise WeightsError(self._advice(first_line(error)), self.argument) from error

    def tensors(self) -> "dict[str, torch.Tensor]":
        """Its tensors by name; raises as :meth:`path` and :func:`read_weights` do."""
        return read_weights(self.path())

    def _from_hugging_face(self) -> str:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError

        for filename in self.filenames:  # what is published does not change: no need to ask again
            with contextlib.suppress(LocalEntryNotFoundError):
                return hf_hub_download(self.repository, filename, local_files_only=True)
        _check_reachable(self.url)
        for filename in self.filenames[:-1]:
            with contextlib.suppress(EntryNotFoundError):
                return hf_hub_download(self.repository, filename, etag_timeout=_PATIENCE)
        return hf_hub_download(self.repository, self.filenames[-1], etag_timeout=_PATIENCE)

    def _from_url(self) -> str:
        import torch

        folder = os.path.join(torch.hub.get_dir(), "checkpoints")
        path = os.path.join(folder, os.path.basename(urlsplit(self.url).path))
        if not os.path.exists(path):
            _check_reachable(self.url)
            os.makedirs(folder, exist_ok=True)
            checksum = _CHECKSUM.search(os.path.basename(path))
            torch.hub.download_url_to_file(
                self.url, path, checksum.group(1) if checksum else None, progress=False
            )
        return path

    def _advice(self, reason: str) -> str:
        suffix = os.path.splitext(urlsplit(self.url).path)[1]
        name = self.names[0] + suffix
        folder = os.environ.get(FOLDER)
        place = (
            f"save it as {os.path.join(os.path.expanduser(folder), name)}"
            if folder
            else f"save it as {name} in a folder, set the environment variable {FOLDER} to that "
            "folder and start again"
        )
        url = _without_secrets(self.url)
        return (
            f"The weights of {self.what} cannot be fetched ({reason}). Download {url} and "
            f"{place}, or set '{self.argument}' to a local file."
        )


def find_weights(*names: str) -> str | None:
    """The first weights file of one of these names in the user's folder.

    The folder is the one that the environment variable ``UVL_WEIGHTS`` names; without it,
    nothing is found. The suffix may be any of ``.safetensors``, ``.pth`` and ``.pt``. Names:

    - timm: the model with its tag, ``vit_base_patch14_dinov2.lvd142m``, or as the settings
      name it;
    - torchvision: its own file, ``mobilenet_v2-7ebf99e0``; the model, ``mobilenet_v2``, for
      the default weights;
    - open_clip: model and tag, ``ViT-B-32--laion2b_s34b_b79k``.

    Raises:
        WeightsError: if ``UVL_WEIGHTS`` does not name a folder.
    """
    folder = os.path.expanduser(os.environ.get(FOLDER, ""))
    if not folder:
        return None
    if not os.path.isdir(folder):
        raise WeightsError(f"{FOLDER} is '{folder}', which is no folder; set it to one.")
    paths = (os.path.join(folder, name + suffix) for name in names for suffix in SUFFIXES)
    return next((path for path in paths if os.path.isfile(path)), None)


def hugging_face_url(repository: str, filename: str) -> str:
    """Where a person can download a file of the Hugging Face hub."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(repository, filename)


def _check_reachable(url: str) -> None:
    """Raises ``OSError`` at once where there is no network: the hub's own client would first
    try for half a minute."""
    import ssl
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    scheme, host = urlsplit(url)[:2]
    try:
        urlopen(Request(f"{scheme}://{host}/", method="HEAD"), timeout=_PATIENCE).close()
    except HTTPError:
        pass  # it answers
    except URLError as error:
        if not isinstance(error.reason, ssl.SSLError):  # the client may know other certificates
            raise


def first_line(error: BaseException) -> str:
    """What an error of a hub says, without secrets."""
    return _without_secrets((str(error).splitlines() or [""])[0] or type(error).__name__)


def _without_secrets(text: str) -> str:
    for pattern in _HIDDEN:
        text = pattern.sub("...", text)
    return text
