"""Images in records: what is seen of them, how the ledger knows them, and what nobody decodes."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from tests.learning.tiny_vit import DIGITS, encoded, noise

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import parse_experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.images import MOST_PIXELS, decode, pixels_sha256
from gossipfl.learning.data.records import Record, to_records
from gossipfl.learning.data.sources import read_table

PIXELS = noise(0)


def experiment(*labels: str) -> Experiment:
    text = "model: {source: somewhere}\ntask: {kind: image-classification}\nprivacy: {level: none}"
    return parse_experiment(text, source="images.yaml", overrides=[f"task.labels={list(labels)}".replace("'", '"')])


def records_of(images: list[bytes | None], labels: tuple[str, ...] = ("a", "b")) -> list[Record]:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    rows = [image if image is None else {"bytes": image, "path": None} for image in images]
    table = datasets.Dataset.from_dict({"image": rows, "label": [labels[0]] * len(rows)}, features)
    return to_records(table, experiment(*labels), source="scans")


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF", "WEBP"])
def test_an_image_saved_anew_without_loss_is_the_same_record(form: str) -> None:
    # a GIF has 256 colors
    gray = np.repeat(PIXELS[:, :, :1], 3, axis=2)
    file = BytesIO()
    Image.fromarray(gray, "RGB").convert("L" if form == "GIF" else "RGB").save(
        file, form, lossless=True, compress_level=0
    )
    png, other = records_of([encoded(gray), file.getvalue()])
    assert png.image != other.image
    assert png.tag == other.tag


def test_other_pixels_or_another_shape_are_another_record() -> None:
    changed = PIXELS.copy()
    changed[0, 0, 0] ^= 1
    flat = encoded(PIXELS.reshape(12, 9, 3))
    assert len({record.tag for record in records_of([encoded(PIXELS), encoded(changed), flat])}) == 3


def test_an_image_is_seen_as_it_is_to_be_turned() -> None:
    exif = Image.Exif()
    # orientation: turn by 180 degrees
    exif[0x0112] = 3
    file = BytesIO()
    Image.fromarray(PIXELS, "RGB").save(file, "PNG", exif=exif)
    np.testing.assert_array_equal(decode(file.getvalue()), PIXELS[::-1, ::-1])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA"])
def test_modes_of_eight_bits_come_as_three_channels_or_as_one(mode: str) -> None:
    data = encoded(PIXELS, mode=mode)
    assert decode(data).shape == (9, 12, 3)
    assert decode(data, 1).shape == (9, 12, 1)


def header_of(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def sixteen_bits() -> bytes:
    file = BytesIO()
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(file, "PNG")
    return file.getvalue()


def moving() -> bytes:
    frames = [Image.fromarray(noise(seed), "RGB") for seed in (1, 2)]
    file = BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
HOSTILE = {
    "bomb": (header_of(8192, 8192), "67108864|8192 x 8192 pixels is beyond"),
    "larger bomb": (header_of(60_000, 60_000), f"more than the {MOST_PIXELS} pixels"),
    "cut off": (encoded(noise(3, 64, 64), "JPEG")[:-600], "truncated"),
    "sixteen bits": (sixteen_bits(), "mode 'I;16'"),
    "moving": (moving(), "holds 2 pictures"),
    "text": (b"no image at all", "it is none"),
    "a program": (POSTSCRIPT, "it is none"),
    "broken": (encoded(PIXELS)[:40], "cannot be read"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_good_image_is_said_with_its_record(name: str) -> None:
    image, reason = HOSTILE[name]
    with pytest.raises(DataError, match=f"data.image: column 'image': record 2 of data 'scans': .*({reason})"):
        records_of([encoded(PIXELS), image])


def test_a_record_without_an_image_is_said() -> None:
    with pytest.raises(DataError, match="record 2 of data 'scans' has no encoded image in column 'image'"):
        records_of([encoded(PIXELS), None])


def test_a_file_that_a_table_only_names_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "own.png").write_bytes(encoded(PIXELS))
    table = datasets.Dataset.from_dict(
        {"image": [{"bytes": None, "path": str(tmp_path / "own.png")}], "label": ["a"]},
        datasets.Features({"image": datasets.Image(decode=False), "label": datasets.Value("string")}),
    )
    table.to_parquet(tmp_path / "named.parquet")
    read = read_table("named.parquet", folder=tmp_path)
    with pytest.raises(DataError, match="record 1 of data 'named' has no encoded image"):
        to_records(read, experiment("a", "b"), source="named")


def folder_of(home: Path, *places: str) -> Path:
    for seed, place in enumerate(places):
        file = home / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(noise(seed)))
    return home


def test_a_folder_by_class_is_a_table_in_the_order_of_names(tmp_path: Path) -> None:
    folder_of(tmp_path / "scans", "ill/b.png", "ill/a.png", "healthy/c.png")
    (tmp_path / "scans" / "ill" / "notes.txt").write_text("not an image")
    found = to_records(read_table("scans", folder=tmp_path), experiment("healthy", "ill"), source="scans")
    assert [record.label for record in found] == [0, 1, 1]
    assert [record.pixels_sha256 for record in found] == [pixels_sha256(encoded(noise(seed))) for seed in (2, 1, 0)]


def test_a_divided_folder_gives_the_part_that_is_asked_for(tmp_path: Path) -> None:
    folder_of(tmp_path / "scans", "train/ill/a.png", "test/ill/b.png", "test/healthy/c.png")
    counts = {split: len(read_table("scans", folder=tmp_path, split=split)) for split in ("train", "test")}
    assert counts == {"train": 1, "test": 2}


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path / "scans", "ill/a.png")
    folder_of(tmp_path, "secret.png")
    (tmp_path / "scans" / "ill" / "b.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=r"b\.png is a link out of"):
        read_table("scans", folder=tmp_path)


def test_a_folder_without_images_is_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "scans" / "ill").mkdir(parents=True)
    with pytest.raises(DataError, match="nor one with a folder of images for each class"):
        read_table("scans", folder=tmp_path)


def test_parquet_with_images_is_read(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = {"image": [{"bytes": encoded(PIXELS), "path": None}] * 2, "label": [1, 0]}
    datasets.Dataset.from_dict(rows, features).to_parquet(tmp_path / "scans.parquet")
    found = to_records(read_table("scans.parquet", folder=tmp_path), experiment("a", "b"), source="scans")
    assert [record.label for record in found] == [1, 0]
    np.testing.assert_array_equal(decode(found[0].image), PIXELS)


def test_shades_that_make_a_square_are_an_image() -> None:
    found = to_records(
        read_table("sklearn:digits", folder=Path()).select(range(5)), experiment(*DIGITS), source="digits"
    )
    shades = np.array(read_table("sklearn:digits", folder=Path())[3]["features"]).reshape(8, 8)
    np.testing.assert_array_equal(decode(found[3].image, 1)[:, :, 0], np.rint(shades * 255))


def wrong(values: list[list[float]]) -> Callable[[], list[Record]]:
    table = datasets.Dataset.from_dict({"features": values, "label": ["a"] * len(values)})
    return lambda: to_records(table, experiment("a", "b"), source="shades")


def test_numbers_that_make_no_image_are_said() -> None:
    with pytest.raises(DataError, match="3 numbers a record in column 'features', which make no square"):
        wrong([[0.0, 0.5, 1.0]])()
    with pytest.raises(DataError, match="record 2 of data 'shades': numbers that make an image lie between 0 and 1"):
        wrong([[0.0] * 4, [0.0, 0.0, 0.0, 1.5]])()
