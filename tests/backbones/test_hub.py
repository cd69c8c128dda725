import ssl
import time
from urllib.error import HTTPError, URLError

import huggingface_hub
import pytest
import torch
from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import save_file

from uvl_plugin.backbones.hub import Published, find_weights, first_line, hugging_face_url
from uvl_plugin.core.errors import WeightsError

STATE = {"weight": torch.ones(2)}
ON_HUB = Published(
    what="timm's net.tag", names=("net.tag", "net"), url="https://hub.example/net/model.safetensors",
    repository="timm/net.tag", filenames=("model.safetensors",),
)  # fmt: skip
ON_A_SITE = Published(
    what="torchvision's net", names=("net-0123abcd",), url="https://site.example/net-0123abcd.pth"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UVL_WEIGHTS", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


@pytest.fixture
def no_folder(monkeypatch):
    monkeypatch.delenv("UVL_WEIGHTS", raising=False)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hugging Face hub: what it was asked for, and what it has."""

    class Hub:
        asked, has, cached, error = [], {}, set(), None

    Hub.asked, Hub.has, Hub.cached = [], {}, set()

    def download(repository, filename, *, local_files_only=False, etag_timeout=None):
        path = tmp_path / f"hub-{filename}"
        if local_files_only:
            if filename in Hub.cached:
                return str(path)
            raise LocalEntryNotFoundError("not here")
        assert 0 < etag_timeout <= 10
        Hub.asked.append((repository, filename))
        if Hub.error:
            raise Hub.error
        if filename not in Hub.has:
            raise EntryNotFoundError("404 Client Error")
        save_file(Hub.has[filename], path)
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return Hub


@pytest.fixture
def network(monkeypatch):
    """The answer to the question whether a hub is there."""

    class Network:
        hosts, error = [], None

    Network.hosts = []

    def opened(request, timeout):
        assert timeout <= 10
        Network.hosts.append((request.get_method(), request.full_url))
        if Network.error:
            raise Network.error
        return open(__file__, "rb")

    monkeypatch.setattr("urllib.request.urlopen", opened)
    return Network


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
@pytest.mark.parametrize("name", ["net.tag", "net"])
def test_the_folder_of_the_user_comes_first(folder, hub, network, name, suffix):
    path = folder / (name + suffix)
    (save_file if suffix == ".safetensors" else torch.save)(STATE, path)
    assert ON_HUB.path() == str(path)
    assert torch.equal(ON_HUB.tensors()["weight"], STATE["weight"])
    assert not hub.asked
    assert not network.hosts


def test_the_exact_name_goes_before_the_short_one(folder):
    for name in ("net.safetensors", "net.tag.pt"):
        (folder / name).touch()
    assert find_weights("net.tag", "net") == str(folder / "net.tag.pt")
    assert find_weights("other", "net") == str(folder / "net.safetensors")
    assert find_weights("other") is None


def test_other_files_and_folders_in_it_do_not_count(folder):
    (folder / "net.safetensors").mkdir()
    (folder / "net.bin").touch()
    assert find_weights("net") is None


def test_home_is_understood_in_the_name_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("UVL_WEIGHTS", "~/mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/net.pt").touch()
    assert find_weights("net") == str(tmp_path / "mine/net.pt")


def test_a_folder_that_is_not_there_is_an_error(folder):
    folder.rmdir()
    with pytest.raises(WeightsError, match="UVL_WEIGHTS is '.*mine', which is no folder"):
        find_weights("net")


@pytest.mark.usefixtures("no_folder")
def test_what_was_downloaded_before_needs_no_network(hub, network):
    hub.cached.add("model.safetensors")
    assert ON_HUB.path().endswith("hub-model.safetensors")
    assert not network.hosts


@pytest.mark.usefixtures("no_folder", "network")
def test_the_hub_is_asked_last(hub):
    hub.has["model.safetensors"] = STATE
    assert torch.equal(ON_HUB.tensors()["weight"], STATE["weight"])
    assert hub.asked == [("timm/net.tag", "model.safetensors")]


@pytest.mark.usefixtures("no_folder", "network")
def test_of_several_names_on_the_hub_the_first_that_exists_is_taken(hub):
    published = Published(
        what="x", names=("x",), url="https://hub.example/x", repository="r", filenames=("a", "b")
    )
    hub.has["b"] = STATE
    assert published.path().endswith("hub-b")
    hub.has["a"] = STATE
    assert published.path().endswith("hub-a")


@pytest.mark.usefixtures("no_folder")
@pytest.mark.parametrize("published", [ON_HUB, ON_A_SITE])
def test_without_network_nothing_is_tried_but_one_look(hub, network, published, monkeypatch):
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    network.error = URLError("Name or service not known")
    with pytest.raises(WeightsError, match="Name or service not known"):
        published.path()
    host = published.url.split("/")[2]
    assert network.hosts == [("HEAD", f"https://{host}/")]
    assert not hub.asked


@pytest.mark.usefixtures("no_folder", "hub")
def test_a_name_that_does_not_exist_fails_within_seconds():
    published = Published(
        what="x", names=("x",), url="https://uvl.invalid/x.pt", repository="r", filenames=("a",)
    )
    start = time.perf_counter()
    with pytest.raises(WeightsError, match="cannot be fetched"):
        published.path()
    assert time.perf_counter() - start < 20


@pytest.mark.usefixtures("no_folder")
@pytest.mark.parametrize(
    "answer",
    [
        HTTPError("https://hub.example/", 401, "Unauthorized", None, None),
        URLError(ssl.SSLCertVerificationError("self-signed certificate")),
    ],
)
def test_a_hub_that_answers_in_any_way_is_asked(hub, network, answer):
    network.error = answer
    hub.has["model.safetensors"] = STATE
    assert ON_HUB.path().endswith("hub-model.safetensors")


@pytest.mark.usefixtures("no_folder", "network", "hub")
def test_without_a_folder_the_error_says_how_to_name_one():
    with pytest.raises(WeightsError) as caught:
        ON_HUB.path()
    assert str(caught.value) == (
        "The weights of timm's net.tag cannot be fetched (404 Client Error). Download "
        "https://hub.example/net/model.safetensors and save it as net.tag.safetensors in a folder, "
        "set the environment variable UVL_WEIGHTS to that folder and start again, or set "
        "'weights' to a local file."
    )
    assert caught.value.argument == "weights"


@pytest.mark.usefixtures("network", "hub")
def test_with_a_folder_the_error_gives_the_full_path(folder):
    with pytest.raises(WeightsError) as caught:
        ON_HUB.path()
    path = folder / "net.tag.safetensors"
    assert f" and save it as {path}, or set 'weights'" in str(caught.value)
    save_file(STATE, path)  # follow the advice
    assert ON_HUB.path() == str(path)


@pytest.mark.usefixtures("no_folder", "network")
def test_secrets_are_not_shown(hub):
    hub.error = OSError(
        "403 for https://me:password@hub.example/x?X-Signature=abc123&y=1 with token hf_AbC123"
    )
    with pytest.raises(WeightsError) as caught:
        ON_HUB.path()
    assert "403 for https://...hub.example/x?... with token ..." in str(caught.value)
    for secret in ("password", "abc123", "AbC123"):
        assert secret not in str(caught.value)


def test_an_error_without_words_is_named():
    assert first_line(TimeoutError()) == "TimeoutError"
    assert first_line(OSError("one\ntwo")) == "one"


@pytest.mark.usefixtures("no_folder", "network")
def test_a_download_from_a_site_is_checked_and_kept(tmp_path, monkeypatch):
    calls = []

    def download(url, path, checksum, progress):
        calls.append((url, checksum))
        torch.save(STATE, path)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for _ in range(2):
        assert torch.equal(ON_A_SITE.tensors()["weight"], STATE["weight"])
    assert calls == [(ON_A_SITE.url, "0123abcd")]


def test_the_address_for_a_person():
    url = hugging_face_url("timm/net.tag", "model.safetensors")
    assert url.endswith("/timm/net.tag/resolve/main/model.safetensors")
