"""What a record is: content (text, prompt and response, numbers, or an image), label, unit, group."""

import hashlib
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the task sees it.

    Attributes:
        text: the text, or the response when there is a prompt; empty for numbers.
        prompt: what the response answers; none for plain text.
        label: index into `task.labels`, or `choices`; -1 where the task has neither.
        unit: the person behind the record; none when every record is its own unit.
        group: value of the column that decides a split; empty where no split needs one.
        choices: what may be answered to the prompt, of which `label` is the right one; empty for other tasks.
        features: the numbers, fp32 little-endian one after the other; empty for text.
        image: encoded; empty for all else.
        pixels_sha256: of what is seen of it.
        words, tags: of the text, and the index of each into `task.labels`; empty for other tasks.
        part: value of the column of `simulation.periods`; empty without it.
    """

    text: str
    prompt: str | None = None
    label: int = -1
    unit: str | None = None
    group: str = ""
    features: bytes = b""
    choices: tuple[str, ...] = ()
    image: bytes = b""
    pixels_sha256: bytes = b""
    words: tuple[str, ...] = ()
    tags: tuple[int, ...] = ()
    part: str = ""

    @property
    def tag(self) -> bytes:
        """SHA-256 of the content, by which the ledger knows the record again.

        Of the words or numbers alone: a record under another label, task or unit column is still the same record.
        Numbers in another unit or scale are other numbers. An image is known by its pixels: one that was saved anew
        without loss is the same, one of another size or compression is another.
        """
        if self.image:
            return hashlib.sha256(b"image\x1e" + self.pixels_sha256).digest()
        if self.features:
            return hashlib.sha256(b"features\x1e" + self.features).digest()
        return _tag("\x1f".join((self.prompt or "", *self.choices, self.text)))

    @property
    def unit_tag(self) -> bytes | None:
        """SHA-256 of the unit's name, by which the ledger knows a person again who comes with other records."""
        return unit_tag(self.unit)


def unit_tag(unit: str | None) -> bytes | None:
    """See `Record`."""
    return None if unit is None else _tag(f"unit\x1e{unit}")


def _tag(text: str) -> bytes:
    words = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()
