import io
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, features

from lib.data import colours, pictures
from lib.data.demo import draw_picture
from lib.workspace import REPOSITORY

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


def claim_jpeg(side):
    """A JPEG of a few bytes whose header claims a huge picture."""
    data = bytearray(encode(Image.new("RGB", (8, 8)), "jpeg"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", side, side)
    return bytes(data)


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
    loaded = pictures.load(path, 6)
    assert loaded.shape == (6, 6, 3) and loaded.dtype == np.uint8
    assert abs(loaded.astype(int) - colour).max() <= 2


def make_exif(kind, value):
    """Exif data whose orientation has any TIFF type."""
    code, size = {"ascii": (2, 2), "byte": (1, 1), "short": (3, 1), "undefined": (7, 1)}[kind]
    content = struct.pack("<I", value) if kind != "ascii" else b"6\0\0\0"
    entry = struct.pack("<HHI", 0x0112, code, size) + content
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("ascii", 0), ("byte", 6), ("undefined", 6), ("short", 0), ("short", 9), ("short", 255)],
)
def test_orientation_that_says_nothing_leaves_the_picture_as_it_is(kind, value):
    data = encode(Image.new("RGB", (40, 20), RED), "jpeg", exif=make_exif(kind, value))
    shown, size = pictures.decode(data, 100)
    assert size in ((40, 20), (20, 40)) and shown.shape[1::-1] == size
    if kind != "byte":
        assert size == (40, 20)


@pytest.mark.parametrize("kind", ["jpeg", "tiff", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_gives_one_upright_picture_and_its_size(kind, orientation):
    upright = np.zeros((20, 40, 3), np.uint8)
    upright[:10, :20], upright[10:, 20:] = RED, BLUE
    # What the camera stored, so that its orientation makes this of it.
    undo = {2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1]}
    undo |= {5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a), 8: lambda a: np.rot90(a, -1)}
    undo |= {7: lambda a: a[::-1, ::-1].swapaxes(0, 1)}
    stored = Image.fromarray(np.ascontiguousarray(undo.get(orientation, lambda a: a)(upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    further = {"jpeg": {"quality": 98, "subsampling": 0}, "webp": {"lossless": True}}.get(kind, {})
    data = encode(stored, kind, exif=exif, **further)
    shown, size = pictures.decode(data, 100)
    assert size == shown.shape[1::-1] == (40, 20)
    assert abs(np.asarray(shown)[[5, 15], [10, 30]].astype(int) - [RED, BLUE]).max() < 8


@pytest.mark.parametrize("orientation", [9, 255])
def test_tiff_of_unknown_orientation_keeps_its_size(orientation):
    data = encode(Image.new("RGB", (40, 20)), "tiff", tiffinfo={274: orientation})
    assert pictures.decode(data, 8)[1] == (40, 20)


PHOTO = draw_picture("Aves", np.random.default_rng(3))
GREY = np.asarray(PHOTO.convert("L"))
COLOUR = np.asarray(PHOTO)


def write_tiff(samples, sample_format=1, planes=1, photometric=None, palette=None, order="<"):
    """A TIFF of any depth, uncompressed, in one strip a plane."""
    samples = np.atleast_3d(samples)
    height, width, channels = samples.shape
    depth = samples.dtype.itemsize * 8
    if photometric is None:
        photometric = 2 if channels == 3 else 1
    stored = np.moveaxis(samples, 2, 0) if planes == 2 else samples
    pixels = stored.astype(samples.dtype.newbyteorder(order)).tobytes()
    strips, extra, start = (channels if planes == 2 else 1), b"", 8 + len(pixels)
    entries = [(256, 3, [width]), (257, 3, [height]), (258, 3, [depth] * channels)]
    entries += [(259, 3, [1]), (262, 3, [photometric])]
    entries += [(273, 4, [8 + k * len(pixels) // strips for k in range(strips)])]
    entries += [(277, 3, [channels]), (278, 3, [height])]
    entries += [(279, 4, [len(pixels) // strips] * strips), (284, 3, [planes])]
    entries += [(320, 3, palette)] if palette is not None else []
    entries += [(339, 3, [sample_format] * channels)]
    table, place = b"", start + 2 + 12 * len(entries) + 4
    for tag, kind, values in entries:
        content = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(content) > 4:
            extra, content = extra + content, struct.pack(f"{order}I", place + len(extra))
        table += struct.pack(f"{order}HHI", tag, kind, len(values)) + content.ljust(4, b"\0")
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(f"{order}HI", 42, start)
    return head + pixels + struct.pack(f"{order}H", len(entries)) + table + bytes(4) + extra


def write_png(samples, colour_type, clear=b""):
    """A PNG of 16 bits a sample."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", clear), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
        if data or name == b"IEND"
    )


def write_palette(step, **options):
    """A TIFF with a palette whose colours are bytes (step 1) or fill their fields (257)."""
    reduced = PHOTO.quantize(200)
    palette = np.zeros((256, 3), int)
    palette[: len(reduced.getpalette()) // 3] = np.reshape(reduced.getpalette(), (-1, 3))
    colours = (palette.T * step).ravel().tolist()
    if not options:
        return write_tiff(np.asarray(reduced), photometric=3, palette=colours)
    return encode(reduced, "tiff", tiffinfo={320: tuple(colours)}, **options)


def heat(samples):
    """Give one sample the most that 16 bits hold."""
    samples = np.array(samples)
    samples[3, 5] = 65_535
    return samples


FLOAT, SIGNED = 3, 2
DEEP = {
    "float 0-1": (write_tiff((GREY / 255).astype(np.float32), FLOAT), GREY),
    "float 0-65535": (write_tiff((GREY * 257.0).astype(np.float32), FLOAT), GREY),
    "int32 of bytes": (write_tiff(GREY.astype(np.int32), SIGNED), GREY),
    "float 0-255000": (write_tiff((GREY * 1000.0).astype(np.float32), FLOAT), GREY),
    "int16, Hounsfield units": (write_tiff(GREY.astype(np.int16) * 12 - 1024, SIGNED), GREY),
    "float, Hounsfield units": (write_tiff((GREY * 12.0 - 1024).astype(np.float32), FLOAT), GREY),
    "12 bits, one hot pixel": (write_tiff(heat(GREY.astype(np.uint16) * 16)), GREY),
    "8 bits in 16, one hot pixel": (write_tiff(heat(GREY.astype(np.uint16))), GREY),
    "float 0-1, one hot pixel": (write_tiff(heat((GREY / 255).astype(np.float32)), FLOAT), GREY),
    "png, 12 bits, one hot pixel": (write_png(heat(GREY.astype(int) * 16), 0), GREY),
    "int16 of bytes": (write_tiff(GREY.astype(np.int16), SIGNED), GREY),
    "int16 in full": (write_tiff(GREY.astype(np.int16) * 128, SIGNED), GREY),
    "uint16": (write_tiff(GREY.astype(np.uint16) * 257), GREY),
    "12 bits in 16": (write_tiff(GREY.astype(np.uint16) * 16), GREY),
    "white is zero": (write_tiff((255 - GREY).astype(np.uint16) * 257, photometric=0), GREY),
    "rgb, 16 bits": (write_tiff(COLOUR.astype(np.uint16) * 257), COLOUR),
    "rgb, 12 bits in 16": (write_tiff(COLOUR.astype(np.uint16) * 16), COLOUR),
    "rgb, 16 bits, planes": (write_tiff(COLOUR.astype(np.uint16) * 257, planes=2), COLOUR),
    "the same, big-endian": (
        write_tiff(COLOUR.astype(np.uint16) * 257, planes=2, order=">"),
        COLOUR,
    ),
    "rgb, 8 bits, planes": (write_tiff(COLOUR, planes=2), COLOUR),
    "palette of bytes": (write_palette(1), COLOUR),
    "palette of words": (write_palette(257), COLOUR),
    "palette of bytes, lzw": (write_palette(1, compression="tiff_lzw"), COLOUR),
    "png, 16 bits": (write_png(GREY.astype(int) * 257, 0), GREY),
    "png, 12 bits in 16": (write_png(GREY.astype(int) * 16, 0), GREY),
    "png, rgb, 16 bits": (write_png(COLOUR.astype(int) * 257, 2), COLOUR),
    "png, rgb, 12 bits in 16": (write_png(COLOUR.astype(int) * 16, 2), COLOUR),
    "png, grey and opaque": (
        write_png(np.dstack([GREY, np.full_like(GREY, 255)]).astype(int) * 257, 4),
        GREY,
    ),
}

if hasattr(cv2, "CV_32U"):  # older ones call it unsupported
    DEEP["uint32"] = (write_tiff(GREY.astype(np.uint32) * 16_843_009), GREY)


@pytest.mark.parametrize("name", DEEP)
def test_samples_of_every_depth_look_like_the_plain_photograph(name):
    data, plain = DEEP[name]
    expected = pictures.load(encode(Image.fromarray(plain)), 64).astype(int)
    found = pictures.load(data, 64).astype(int)
    # A palette of 200 colours is coarse, and some are stretched; all else is equal but for rounding.
    is_stretched = "000" in name or "Hounsfield" in name
    assert abs(found.mean() - expected.mean()) < (8 if is_stretched else 2)
    assert abs(found - expected).mean() < (12 if is_stretched or "palette" in name else 1)


def test_marks_of_no_data_are_black_and_decide_nothing():
    ground = (GREY / 255).astype(np.float32)
    height = GREY.astype(np.int16) * 10
    for samples, mark, told in (
        (ground, -9999, -9999),
        (ground, -3.4e38, np.nan),
        (ground, np.inf, np.nan),
        (height, -32768, np.nan),
    ):
        marked = samples.copy()
        marked[:30] = mark
        levels = colours.scale_to_bytes(marked, told)
        assert not levels[:30].any()
        assert abs(levels[30:].astype(int) - colours.scale_to_bytes(samples)[30:]).max() <= 1


def test_integers_that_fill_little_of_their_type_are_not_black():
    for dtype, step in ((np.int32, 400), (np.uint32, 65_000)):
        levels = colours.scale_to_bytes(GREY.astype(dtype) * dtype(step))
        assert abs(levels.mean() - GREY.mean()) < 8


def test_clear_samples_stay_clear_where_colours_are_below_zero():
    samples = np.dstack([GREY / 127 - 1] * 3 + [np.zeros(GREY.shape)]).astype(np.float32)
    assert not colours.scale_to_bytes(samples)[..., 3].any()


@pytest.mark.parametrize("depth", [16, 257])
def test_alpha_does_not_decide_what_is_white(depth):
    samples = np.dstack([COLOUR.astype(int) * depth, np.full(GREY.shape, 65_535)])
    expected = pictures.load(encode(PHOTO), 64).astype(int)
    assert abs(pictures.load(write_png(samples, 6), 64) - expected).mean() < 1


def test_few_samples_above_white_do_not_darken_the_picture():
    expected = pictures.load(encode(Image.fromarray(GREY)), 64).astype(int)
    sharpened = (GREY / 255).astype(np.float32)
    sharpened.flat[::30] = 1.03
    hot = GREY.astype(np.uint16) * 16
    hot.flat[7] = 4100
    for data in (write_tiff(sharpened, FLOAT), write_tiff(hot)):
        assert abs(pictures.load(data, 64) - expected).mean() < 8


def test_transparent_grey_of_16_bits_becomes_white():
    samples = np.where(GREY > GREY.mean(), 65_535, 300)
    loaded = pictures.load(write_png(samples, 0, struct.pack(">H", 300)), 64)
    assert loaded.min() == 255


def test_what_no_decoder_reads_is_called_unsupported():
    for data in (
        write_tiff(GREY / 255, FLOAT),
        write_tiff((COLOUR / 255).astype(np.float32), FLOAT),
    ):
        with pytest.raises(pictures.PictureError, match="unsupported"):
            pictures.load(data, 8)


def make_profile(name):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def test_embedded_colour_profile_is_converted_to_srgb():
    # Red and blue change places in this profile's primaries, so what it says can't be missed.
    swapped = bytearray(make_profile("sRGB"))
    tags = {bytes(swapped[p : p + 4]): p for p in range(132, 132 + 12 * swapped[131], 12)}
    red, blue = (tags[name] + 4 for name in (b"rXYZ", b"bXYZ"))
    swapped[red : red + 4], swapped[blue : blue + 4] = (
        swapped[blue : blue + 4],
        swapped[red : red + 4],
    )
    swapped = bytes(swapped).replace("sRGB".encode("utf-16-be"), "Test".encode("utf-16-be"))
    for kind in ("jpeg", "png", "webp", "tiff"):
        data = encode(Image.new("RGB", (20, 20), RED), kind, icc_profile=swapped, **(
            {"lossless": True} if kind == "webp" else {}
        ))  # fmt: skip
        assert abs(pictures.load(data, 8).astype(int) - BLUE).max() < 8, kind


# With names of their own, since a profile holds the second in which it was made.
PROFILES = {
    "sRGB": make_profile("sRGB"),
    "LAB": make_profile("LAB"),
    "none": b"no profile",
    "": b"",
}


@pytest.mark.parametrize("name", PROFILES)
def test_profile_that_changes_nothing_or_does_not_fit_leaves_the_colours(name):
    profile = PROFILES[name]
    data = encode(Image.new("RGB", (20, 20), (10, 130, 200)), icc_profile=profile)
    assert abs(pictures.load(data, 8).astype(int) - (10, 130, 200)).max() <= 1


def damage(data, how):
    middle = len(data) // 2
    if how == "zeroed":
        return data[:middle] + bytes(2000) + data[middle + 2000 :]
    return data[:middle] + b"\xff\xd9"


@pytest.mark.parametrize("how", ["zeroed", "cut, with an end marker"])
@pytest.mark.parametrize("progressive", [False, True])
def test_damaged_jpegs_are_refused(how, progressive):
    refused = 0
    for seed in range(20):
        photo = draw_picture("Aves", np.random.default_rng(seed))
        photo = photo.resize((800, 600))
        data = encode(photo, "jpeg", quality=90, progressive=progressive)
        assert pictures.load(data, 8).any()
        try:
            pictures.load(damage(data, how), 8)
        except pictures.PictureError as error:
            refused += error.problem in ("corrupt", "truncated")
    assert refused >= 19


def test_byte_or_two_before_a_marker_are_no_damage():
    data = encode(PHOTO, "jpeg")
    expected = pictures.load(data, 32)
    assert np.array_equal(pictures.load(data[:-2] + b"\0" + data[-2:], 32), expected)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("marker", [b"\xff\xdb", b"\xff\xc4", b"\xff\xda"])
def test_bytes_between_segments_are_no_damage_and_hide_none(marker, progressive):
    data = encode(PHOTO, "jpeg", progressive=progressive)
    place = data.index(marker)
    longer = data[:place] + b"\1\2\3\4\5" + data[place:]
    assert np.array_equal(pictures.load(longer, 32), pictures.load(data, 32))
    cut = damage(longer, "zeroed")
    with pytest.raises(pictures.PictureError, match="corrupt|truncated"):
        pictures.load(cut, 32)


def write_lossless(samples, bits=8):
    """A lossless JPEG (ITU-T T.81, annex H) of uint8 or uint16 (height, width, channels)."""
    samples = np.asarray(samples, int)
    height, width, channels = samples.shape
    before = np.roll(samples, 1, axis=1)  # each is told as what it adds to the one on its left
    before[1:, 0], before[0, 0] = samples[:-1, 0], 1 << (bits - 1)
    added = (samples - before).ravel()
    sizes = np.array([int(abs(one)).bit_length() for one in added])
    values = np.where(added < 0, added + (1 << sizes) - 1, added)
    # The 17 sizes have codes of five bits each; as many bits follow, and fill up the last byte.
    code = "".join(f"{s:05b}" + (f"{v:0{s}b}" if s else "") for s, v in zip(sizes, values))
    code += "1" * (-len(code) % 8)
    scan = int(code, 2).to_bytes(len(code) // 8, "big").replace(b"\xff", b"\xff\0")
    frame = struct.pack(">BHHB", bits, height, width, channels)
    frame += b"".join(bytes([number + 1, 0x11, 0]) for number in range(channels))
    table = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    head = bytes([channels, *(byte for n in range(channels) for byte in (n + 1, 0)), 1, 0, 0])
    adobe = b"Adobe\0\x64\0\0\0\0\0"  # the three are red, green and blue
    segments = [(0xEE, adobe)] * (channels == 3) + [(0xC3, frame), (0xC4, table), (0xDA, head)]
    parts = [bytes([0xFF, m]) + struct.pack(">H", len(b) + 2) + b for m, b in segments]
    return b"\xff\xd8" + b"".join(parts) + scan + b"\xff\xd9"


LOSSLESS = np.asarray(PHOTO.resize((320, 240)))


def test_lossless_jpeg_is_decoded_in_full_and_kills_no_process(tmp_path):
    for samples in (LOSSLESS, LOSSLESS[..., :1]):
        data = write_lossless(samples)
        (tmp_path / "x.jpg").write_bytes(data)
        code = (
            "import sys; from lib.data import pictures; shown, size = pictures.decode(open(sys.argv[1],"
            "'rb').read(), 160); sys.stdout.buffer.write(shown.tobytes()); assert size == (320, 240)"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "x.jpg")]
        found = subprocess.run(command, capture_output=True, cwd=REPOSITORY)
        assert found.returncode == 0, found.stderr.decode()
        shown = np.frombuffer(found.stdout, np.uint8).reshape(240, 320, 3)
        assert np.array_equal(shown, np.broadcast_to(samples, shown.shape))


def test_lossless_jpeg_that_no_decoder_here_reads_is_unsupported():
    with pytest.raises(pictures.PictureError, match="unsupported"):
        pictures.load(write_lossless(LOSSLESS.astype(int) * 257, 16), 160)


def write_big_tiff(samples, order):
    """A BigTIFF, uncompressed, in one strip."""
    height, width = samples.shape
    entries = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 16), (277, 1)]
    entries += [(278, height), (279, samples.size)]
    table = b"".join(struct.pack(f"{order}HHQQ", tag, 16, 1, value) for tag, value in entries)
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(
        f"{order}HHHQ", 43, 8, 0, 16 + samples.size
    )
    return head + samples.tobytes() + struct.pack(f"{order}Q", len(entries)) + table + bytes(8)


@pytest.mark.parametrize("order", "<>")
def test_big_tiff_is_a_picture_whatever_it_is_called(order):
    data = write_big_tiff(GREY, order)
    assert pictures.sniff(data[:64]) == ""
    try:
        found = pictures.load(data, 64).astype(int)
    except pictures.PictureError as error:
        assert error.problem == "unsupported" and order == ">", "Pillow reads the other"
    else:
        assert abs(found - pictures.load(encode(Image.fromarray(GREY)), 64)).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_decoded_in_full_has_the_pixels_that_pillow_gives(mode, subsampling):
    data = encode(PHOTO.convert(mode), "jpeg", subsampling=subsampling)
    shown, _ = pictures.decode(data, 5000)
    with Image.open(io.BytesIO(data)) as expected:
        assert np.array_equal(np.asarray(shown), np.asarray(expected.convert("RGB")))


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".bmp", ".gif", ".tiff", ".avif"])
def test_first_bytes_of_every_kind_are_known(ending):
    kind = {".jpg": "jpeg"}.get(ending, ending[1:])
    if kind == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    assert pictures.sniff(encode(PHOTO, kind)[:64]) == ""


def test_heif_is_read_where_its_decoder_is_installed_and_named_elsewhere():
    beginning = b"\0\0\0\x18ftypheic" + bytes(52)
    expected = "" if pictures.HAS_HEIF else "needs_pillow_heif"
    assert pictures.sniff(beginning) == expected
    with pytest.raises(pictures.PictureError, match="corrupt" if not expected else expected):
        pictures.load(beginning, 8)


def test_large_jpeg_is_never_reduced_below_the_size_asked_for():
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((1600, 1200))
    data = encode(coarse, "jpeg", quality=95)
    assert min(pictures.open_upright(data, 150).shape[:2]) >= 150
    expected = pictures.load(encode(coarse), 150).astype(int)
    assert abs(pictures.load(data, 150) - expected).mean() < 2


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
UNUSABLE = {
    "empty": b"",
    "not_a_picture": b"<html>404 Not Found</html>",
    "truncated": encode(PICTURE, "jpeg")[:2000],
    "too_large": claim_png(20_000),
    "git_lfs_pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n",
    "corrupt": break_png(),
}


@pytest.mark.parametrize("problem", UNUSABLE)
def test_unusable_file_is_named_with_its_problem(tmp_path, problem):
    path = tmp_path / "bad.jpg"
    path.write_bytes(UNUSABLE[problem])
    with pytest.raises(pictures.PictureError, match="bad.jpg") as caught:
        pictures.load(path, 8)
    assert caught.value.problem == problem


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_picture_slightly_too_large_and_missing_file_are_refused_too(tmp_path):
    with pytest.raises(pictures.PictureError, match="too_large"):
        pictures.load(claim_png(10_000), 8)
    for path, problem in ((tmp_path, "not_a_file"), (tmp_path / "missing.jpg", "unreadable")):
        with pytest.raises(pictures.PictureError, match=problem):
            pictures.load(path, 8)


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "bmp", "webp", "tiff"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_no_half_written_picture_is_used(kind, share):
    data = encode(PICTURE, kind)
    assert pictures.load(data, 8).any()
    with pytest.raises(pictures.PictureError):
        pictures.load(data[: int(share * len(data))], 8)
