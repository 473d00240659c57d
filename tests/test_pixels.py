import io
import multiprocessing
import os
import signal
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lib import dataset, pixels

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def encode(picture, kind="png", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def claim_png(side):
    """A PNG of a few bytes whose header claims a huge picture."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + encode(Image.new("RGB", (2, 2)))[33:]


def break_png():
    data = bytearray(encode(Image.new("RGB", (40, 40), RED)))
    data[data.index(b"IDAT") + 8] ^= 255
    return bytes(data)


def paint_palette():
    picture = Image.new("P", (9, 7), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    return encode(picture, transparency=0)


ODD = {
    "grey": (encode(Image.new("L", (9, 7), 77)), (77, 77, 77)),
    "clear": (encode(Image.new("RGBA", (9, 7), (255, 0, 0, 0))), (255, 255, 255)),
    "half clear": (encode(Image.new("RGBA", (9, 7), (0, 0, 0, 128))), (127, 127, 127)),
    "grey and clear": (encode(Image.new("LA", (9, 7), (10, 0))), (255, 255, 255)),
    "clear palette": (paint_palette(), (255, 255, 255)),
    "clear colour": (encode(Image.new("RGB", (9, 7), RED), transparency=RED), (255, 255, 255)),
    "cmyk jpeg": (encode(Image.new("CMYK", (9, 7), (0, 255, 255, 0)), "jpeg"), RED),
    "cmyk tiff": (encode(Image.new("CMYK", (9, 7), (255, 0, 255, 0)), "tiff"), GREEN),
    "16 bits": (encode(Image.fromarray(np.full((7, 9), 128 * 257, np.uint16))), (128, 128, 128)),
    "animation": (
        encode(
            Image.new("RGB", (9, 7), RED),
            "gif",
            save_all=True,
            append_images=[Image.new("RGB", (9, 7), BLUE)],
        ),
        RED,
    ),
    "webp": (encode(Image.new("RGB", (9, 7), BLUE), "webp", lossless=True), BLUE),
    "bmp": (encode(Image.new("RGB", (9, 7), BLUE), "bmp"), BLUE),
}


@pytest.mark.parametrize("name", ODD)
def test_every_kind_of_picture_becomes_rgb_bytes(tmp_path, name):
    data, colour = ODD[name]
    path = tmp_path / "named_wrongly.jpg"
    path.write_bytes(data)
    loaded = pixels.load(path, 6)
    assert loaded.shape == (6, 6, 3) and loaded.dtype == np.uint8
    assert abs(loaded.astype(int) - colour).max() <= 2


def test_picture_is_upright_as_exif_says():
    picture = Image.new("RGB", (40, 20), RED)
    picture.paste(BLUE, (20, 0, 40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter: left becomes top
    data = encode(picture, "jpeg", exif=exif, quality=95)
    loaded = pixels.load(io.BytesIO(data), 10).astype(int)
    assert abs(loaded[1] - RED).max() < 20 and abs(loaded[-2] - BLUE).max() < 20
    assert pixels.open_upright(io.BytesIO(data), 20).size == (20, 40)


def test_large_jpeg_is_never_reduced_below_the_size_asked_for():
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((1600, 1200))
    data = encode(coarse, "jpeg", quality=95)
    assert min(pixels.open_upright(io.BytesIO(data), 150).size) >= 150
    expected = pixels.load(io.BytesIO(encode(coarse)), 150).astype(int)
    assert abs(pixels.load(io.BytesIO(data), 150) - expected).mean() < 2


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
UNUSABLE = {
    "empty": b"",
    "not_a_picture": b"<html>404 Not Found</html>",
    "truncated": encode(PICTURE, "jpeg")[:2000],
    "too_large": claim_png(20_000),
    "corrupt": break_png(),
}


@pytest.mark.parametrize("problem", UNUSABLE)
def test_unusable_file_is_named_with_its_problem(tmp_path, problem):
    path = tmp_path / "bad.jpg"
    path.write_bytes(UNUSABLE[problem])
    with pytest.raises(pixels.PictureError, match="bad.jpg") as caught:
        pixels.load(path, 8)
    assert caught.value.problem == problem


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_picture_slightly_too_large_and_missing_file_are_refused_too(tmp_path):
    with pytest.raises(pixels.PictureError, match="too_large"):
        pixels.load(io.BytesIO(claim_png(10_000)), 8)
    for path, problem in ((tmp_path, "not_a_file"), (tmp_path / "missing.jpg", "unreadable")):
        with pytest.raises(pixels.PictureError, match=problem):
            pixels.load(path, 8)


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "bmp", "webp", "tiff"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_no_half_written_picture_is_used(kind, share):
    data = encode(PICTURE, kind)
    assert pixels.load(io.BytesIO(data), 8).any()
    with pytest.raises(pixels.PictureError):
        pixels.load(io.BytesIO(data[: int(share * len(data))]), 8)


def test_open_pixels_returns_what_load_returns_in_the_order_asked_for(prepared):
    files = dataset.read_split(prepared).file.sample(frac=1, random_state=0)
    for size in (8, 12):  # 12 was not prepared
        opened = pixels.open_pixels(prepared, files, size)
        expected = np.stack([pixels.load(prepared.train / file, size) for file in files])
        assert len(opened) == len(files)
        assert np.array_equal(opened[np.arange(len(files))], expected)


def test_unusable_file_is_reported_and_kept_out_of_the_store(ws, draw_classes):
    draw_classes(ws.train, 2, ["red"])
    (ws.train / "red" / "001.png").write_bytes(UNUSABLE["not_a_picture"])
    files = ["red/000.png", "red/001.png", "red/gone.png"]
    table = pixels.prepare(ws.train, files, [8], ws.scratch)
    assert list(table.file) == files and list(table.problem) == ["", "not_a_picture", "unreadable"]
    assert tuple(table.loc[0, ["width", "height"]]) == (30, 24)
    assert (ws.scratch / "pixels_8.u8").stat().st_size == 8 * 8 * 3


def test_equal_files_share_one_row_of_the_store(ws, draw_classes, monkeypatch):
    draw_classes(ws.train, 1, ["red"])
    files = [f"red/{name}.png" for name in ("000", "b", "c", "d")]
    for file in files[1:]:
        (ws.train / file).write_bytes((ws.train / files[0]).read_bytes())
    monkeypatch.setattr(pixels, "BLOCK", 2)
    ws.save_table(pixels.prepare(ws.train, files, [8], ws.scratch), "pictures.csv")
    assert (ws.scratch / "pixels_8.u8").stat().st_size == 8 * 8 * 3
    assert pixels.open_pixels(ws, files, 8)[np.arange(4)].shape == (4, 8, 8, 3)


def test_added_pictures_extend_the_store_and_known_ones_are_not_decoded_again(
    prepared, draw_classes, monkeypatch
):
    store, decoded, decode = prepared.scratch / "pixels_8.u8", [], pixels.open_upright
    before = store.read_bytes()
    with store.open("ab") as killed:  # what a killed run may leave after its last listed row
        killed.write(b"half a picture")
    monkeypatch.setattr(pixels, "open_upright", lambda *a: decoded.append(a) or decode(*a))
    draw_classes(prepared.train, 13)
    files = dataset.scan(prepared.train)[0].file
    prepared.save_table(
        pixels.prepare(prepared.train, files, [8], prepared.scratch), "pictures.csv"
    )
    after = store.read_bytes()
    assert after.startswith(before) and len(after) == len(before) + len(decoded) * 8 * 8 * 3
    assert 9 <= len(decoded) < len(files)
    opened = pixels.open_pixels(prepared, files, 8)[np.arange(len(files))]
    assert np.array_equal(
        opened, np.stack([pixels.load(prepared.train / file, 8) for file in files])
    )


def prepare_and_die(folder, files, scratch, doomed, call):
    """Prepare pictures in blocks of 16 and die by kill -9 when `doomed` is called that often."""
    real, calls = getattr(pixels, doomed), []

    def count_and_die(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    pixels.BLOCK = 16
    setattr(pixels, doomed, count_and_die)
    pixels.prepare(folder, files, [8, 12], scratch)


def test_sizes_below_one_power_of_two_share_a_decoding(ws, draw_classes, monkeypatch):
    draw_classes(ws.train, 1)
    files, decoded, decode = dataset.scan(ws.train)[0].file, [], pixels.open_upright
    monkeypatch.setattr(pixels, "open_upright", lambda *a: decoded.append(a) or decode(*a))
    pixels.prepare(ws.train, files, [10, 14, 17], ws.scratch)
    assert len(decoded) == 2 * len(files)


@pytest.mark.parametrize(("doomed", "call"), [("open_upright", 300), ("whole_file", 8)])
def test_killed_preparation_goes_on_to_the_result_of_an_uninterrupted_one(
    ws, draw_classes, doomed, call
):
    draw_classes(ws.train, 100)
    files = list(dataset.scan(ws.train)[0].file)
    scratch, whole = ws.scratch / "killed", ws.scratch / "whole"
    process = multiprocessing.get_context("spawn").Process(
        target=prepare_and_die, args=(ws.train, files, scratch, doomed, call)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert 0 < (scratch / "pixels_8.u8").stat().st_size < len(files) * 8 * 8 * 3
    tables = [pixels.prepare(ws.train, files, [8, 12], folder) for folder in (scratch, whole)]
    assert tables[0].equals(tables[1])
    for name in ("pixels_8.u8", "pixels_8.csv", "pixels_12.u8", "pixels_12.csv"):
        assert (scratch / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("new_content", [encode(PICTURE), b"", None])
def test_picture_changed_since_01_is_an_error_that_names_it(prepared, new_content):
    path = prepared.train / "red" / "003.png"
    path.unlink() if new_content is None else path.write_bytes(new_content)
    with pytest.raises(ValueError, match="red/003.png.*01_data_prep"):
        pixels.open_pixels(prepared, dataset.read_split(prepared).file, 12)
