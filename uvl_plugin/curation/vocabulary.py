"""The words that clusters may be named with: a list, a text file, or the classes of ImageNet."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uvl_plugin.core.errors import DataError, SettingsError

IMAGENET = "imagenet"
_MOST_BYTES = 20 * 2**20
_MOST_WORDS = 200_000  # WordNet has about 80,000 nouns
_LONGEST = 100  # characters in a name


@dataclass(frozen=True)
class Vocabulary:
    """Words, in an order that does not depend on how they came.

    Attributes:
        words: different, sorted.
        source: where they are from, for a person.
    """

    words: tuple[str, ...]
    source: str

    def __str__(self) -> str:
        return f"{len(self.words):,} words of {self.source}"


def words_in(text: str) -> list[str]:
    """The words of a text, one a line or with commas between them."""
    return re.split(r"[\n\r,;]+", text)


def vocabulary(source: "str | Path | Sequence[str]") -> Vocabulary:
    """The words that a user means.

    Args:
        source: a list of words; ``"imagenet"``: the 1,000 class names; else the path of a
            ``.txt`` file in UTF-8, with one noun a line or commas between them, of at most 20 MiB.
            ``_`` stands for a space, as in WordNet.

    Raises:
        DataError: if the file cannot be read, or is no such text.
        SettingsError: if there are no words, too many of them, or one is too long.
    """
    if isinstance(source, str) and source.strip().lower() == IMAGENET:
        return Vocabulary(_cleaned(_imagenet()), "ImageNet")
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        return Vocabulary(_cleaned(words_in(_text_of(path))), f"'{path.name}'")
    return Vocabulary(_cleaned(source), "the list")


def _cleaned(words: Iterable[str]) -> tuple[str, ...]:
    plain = (" ".join(word.replace("_", " ").split()) for word in words)
    found = {word.casefold(): word for word in sorted(plain, reverse=True) if word}
    longest = max(found.values(), key=len, default="")
    if not found:
        raise SettingsError("The vocabulary has no words; give at least one.", "vocabulary")
    if len(found) > _MOST_WORDS:
        raise SettingsError(
            f"The vocabulary has {len(found):,} words; at most {_MOST_WORDS:,} can be compared.",
            "vocabulary",
        )
    if len(longest) > _LONGEST:
        raise SettingsError(
            f"The vocabulary has a word of {len(longest):,} characters, '{longest[:20]}...'; names "
            f"have at most {_LONGEST}. Write one noun a line, or commas between them.",
            "vocabulary",
        )
    return tuple(sorted(found.values()))


def _text_of(path: Path) -> str:
    """Only of text files: whoever uses the App must not look into other files of its server."""
    if path.suffix.lower() != ".txt":
        raise DataError(
            f"'{path.name}' is no .txt file; name a text file with one noun a line.", "vocabulary"
        )
    try:
        if not path.is_file():
            raise DataError(f"There is no file '{path}'; name a text file of words.", "vocabulary")
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(
                f"'{path}' has over {_MOST_BYTES // 2**20} MiB; a vocabulary is one noun a line.",
                "vocabulary",
            )
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"'{path}' cannot be read as text ({type(error).__name__}); save it as UTF-8, with one "
            "noun a line.",
            "vocabulary",
        ) from error
    if "\0" in text:
        raise DataError(f"'{path}' is no text; a vocabulary is one noun a line.", "vocabulary")
    return text


def _imagenet() -> list[str]:
    """The class names that torchvision ships with its weights; nothing is fetched."""
    from torchvision.models import ResNet18_Weights

    return list(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
