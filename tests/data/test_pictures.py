import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, features

from lib.data import pictures
from lib.data.drawing import draw_picture

RED = (255, 0, 0)
GREEN = (0, 255, 0)
BLUE = (0, 0, 255)
WHITE = (255, 255, 255)
SIZE = (9, 7)
PHOTO = draw_picture("Aves", np.random.default_rng(3))
COLOUR = np.asarray(PHOTO)
GREY = np.asarray(PHOTO.convert("L"))


def encode(picture, kind="png", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def require_kind(kind):
    if kind == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")


def measure_distance(loaded, expected):
    """Return how far levels are apart, at most and on average."""
    distance = abs(loaded.astype(int) - expected)
    return distance.max(), distance.mean()


def claim_jpeg(side):
    """A JPEG of a few bytes whose header claims a huge picture."""
    data = bytearray(encode(Image.new("RGB", (8, 8)), "jpeg"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", side, side)
    return bytes(data)


def paint(mode, colour, kind="png", **options):
    return encode(Image.new(mode, SIZE, colour), kind, **options)


def paint_palette():
    picture = Image.new("P", SIZE, 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    return encode(picture, transparency=0)


def paint_animation():
    picture = Image.new("RGB", SIZE, RED)
    second = Image.new("RGB", SIZE, BLUE)
    return encode(picture, "gif", save_all=True, append_images=[second])


def paint_deep(level):
    return encode(Image.fromarray(np.full((7, 9), level, np.uint16)))


ODD = {
    "grey": (paint("L", 77), (77, 77, 77)),
    "clear": (paint("RGBA", (255, 0, 0, 0)), WHITE),
    "half clear": (paint("RGBA", (0, 0, 0, 128)), (127, 127, 127)),
    "grey and clear": (paint("LA", (10, 0)), WHITE),
    "clear palette": (paint_palette(), WHITE),
    "clear colour": (paint("RGB", RED, transparency=RED), WHITE),
    "cmyk jpeg": (paint("CMYK", (0, 255, 255, 0), "jpeg"), RED),
    "cmyk tiff": (paint("CMYK", (255, 0, 255, 0), "tiff"), GREEN),
    "16 bits": (paint_deep(128 * 257), (128, 128, 128)),
    "animation": (paint_animation(), RED),
    "webp": (paint("RGB", BLUE, "webp", lossless=True), BLUE),
    "bmp": (paint("RGB", BLUE, "bmp"), BLUE),
}


@pytest.mark.parametrize("name", ODD)
def test_every_kind_of_picture_becomes_rgb_bytes(tmp_path, name):
    data, colour = ODD[name]
    path = tmp_path / "named_wrongly.jpg"
    path.write_bytes(data)
    loaded = pictures.load(path, 6)
    most, _ = measure_distance(loaded, colour)
    assert loaded.shape == (6, 6, 3)
    assert loaded.dtype == np.uint8
    assert most <= 2


UNKNOWN_TURN = Image.Exif()
UNKNOWN_TURN[0x0112] = 9
MEANINGLESS = {
    "unknown": UNKNOWN_TURN.tobytes(),
    "damaged": b"Exif\0\0II*\0 damaged",
}


@pytest.mark.parametrize("name", MEANINGLESS)
def test_exif_that_says_nothing_leaves_the_picture_as_it_is(name):
    picture = Image.new("RGB", (40, 20), RED)
    data = encode(picture, "jpeg", exif=MEANINGLESS[name])
    shown, size = pictures.decode(data, 100)
    assert size == (40, 20)
    assert shown.shape == (20, 40, 3)


# How a camera has stored an upright picture, so that its orientation makes this of it.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}
EXACT = {"jpeg": {"quality": 98, "subsampling": 0}, "tiff": {}, "png": {}}


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("orientation", STORED)
def test_each_orientation_gives_one_upright_picture_and_its_size(kind, orientation):
    upright = np.zeros((20, 40, 3), np.uint8)
    upright[:10, :20] = RED
    upright[10:, 20:] = BLUE
    stored = np.ascontiguousarray(STORED[orientation](upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(stored), kind, exif=exif, **EXACT[kind])
    shown, size = pictures.decode(data, 100)
    most, _ = measure_distance(shown[[5, 15], [10, 30]], [RED, BLUE])
    assert size == (40, 20)
    assert shown.shape == upright.shape
    assert most < 8


def write_deep(samples, kind):
    """Encode samples of any depth with OpenCV, which takes RGB for BGR."""
    if samples.ndim == 3:
        order = [2, 1, 0, 3][: samples.shape[2]]
        samples = np.ascontiguousarray(samples[..., order])
    done, data = cv2.imencode(f".{kind}", samples)
    assert done
    return data.tobytes()


def patch_tag(data, tag, value):
    """Give a tag of a little-endian TIFF, whose value stands in its entry, another."""
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry) == (tag,):
            return data[: entry + 8] + struct.pack("<H", value) + data[entry + 10 :]
    raise KeyError(tag)


def add_chunk(data, kind, content):
    """Put a chunk of a PNG behind its header."""
    body = kind + content
    length = struct.pack(">I", len(content))
    check = struct.pack(">I", zlib.crc32(body))
    return data[:33] + length + body + check + data[33:]


def write_significant(samples, *bits):
    """A PNG of 16 bits whose chunk sBIT says how many of them count, for each channel."""
    return add_chunk(write_deep(samples, "png"), b"sBIT", bytes(bits))


def write_brightest(samples, white):
    """A TIFF of 16 bits whose tag says the largest sample."""
    return encode(Image.fromarray(samples), "tiff", tiffinfo={281: white})


GREY_16 = GREY.astype(np.uint16) * 257
GREY_12 = GREY.astype(np.uint16) * 16
COLOUR_16 = COLOUR.astype(np.uint16) * 257
COLOUR_12 = COLOUR.astype(np.uint16) * 16
COLOUR_12[3, 5] = 4095
FULL = np.full(GREY.shape, 65_535, np.uint16)
OPAQUE_12 = np.dstack([COLOUR_12, FULL])
DEEP = {
    "grey PNG": (write_deep(GREY_16, "png"), GREY),
    "grey TIFF": (write_deep(GREY_16, "tiff"), GREY),
    "PNG": (write_deep(COLOUR_16, "png"), COLOUR),
    "TIFF": (write_deep(COLOUR_16, "tiff"), COLOUR),
    "grey PNG, 12 bits": (write_significant(GREY_12, 12), GREY),
    "grey TIFF, 12 bits": (write_brightest(GREY_12, 4095), GREY),
    "PNG, 12 bits": (write_significant(COLOUR_12, 12, 12, 12), COLOUR),
    "PNG, 12 bits, opaque": (write_significant(OPAQUE_12, 12, 12, 12, 16), COLOUR),
    "PNG, 12 bits scaled up": (write_significant(GREY_16, 12), GREY),
}


@pytest.mark.parametrize("name", DEEP)
def test_samples_of_16_bits_look_like_the_plain_photograph(name):
    data, plain = DEEP[name]
    expected = pictures.load(encode(Image.fromarray(plain)), 64)
    _, mean = measure_distance(pictures.load(data, 64), expected)
    assert mean < 1


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("peak", [4_480, 4_520, 65_535])
def test_white_is_65535_where_the_file_says_nothing(peak, kind):
    samples = (GREY / 255 * peak).astype(np.uint16)
    shown, _ = pictures.decode(write_deep(samples, kind), 1000)
    assert shown.mean() == pytest.approx(samples.mean() / 257, abs=0.6)


def test_samples_above_white_are_white():
    samples = np.full((7, 9), 5000, np.uint16)
    assert pictures.load(write_brightest(samples, 4095), 6).min() == 255


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_alpha_of_16_bits_shows_white_behind(kind):
    samples = np.zeros((7, 9, 4), np.uint16)
    samples[..., 3] = 257 * 64
    most, _ = measure_distance(pictures.load(write_deep(samples, kind), 6), 255 - 64)
    assert most <= 1


def test_deep_files_are_known_by_their_header(tmp_path):
    (tmp_path / "plain").write_bytes(encode(PHOTO))
    (tmp_path / "PNG").write_bytes(DEEP["PNG"][0])
    (tmp_path / "TIFF").write_bytes(DEEP["TIFF"][0])
    names = ["plain", "PNG", "TIFF", "missing"]
    found = [pictures.has_deep_samples(tmp_path / name) for name in names]
    assert found == [False, True, True, False]


def write_palette(step, compression):
    """A TIFF with a palette whose colours are bytes (step 1) or fill their fields (257)."""
    reduced = PHOTO.quantize(200)
    given = np.reshape(reduced.getpalette(), (-1, 3))
    palette = np.zeros((256, 3), int)
    palette[: len(given)] = given * step
    colours = tuple(palette.T.ravel().tolist())
    return encode(reduced, "tiff", tiffinfo={320: colours}, compression=compression)


@pytest.mark.parametrize("step", [1, 257])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_palettes_of_bytes_and_of_words_have_their_colours(step, compression):
    shown = pictures.load(write_palette(step, compression), 64)
    _, mean = measure_distance(shown, pictures.load(encode(PHOTO), 64))
    assert mean < 12


DEEP_TIFF = DEEP["grey TIFF"][0]
OTHER_MASKS = (
    struct.pack("<2sIHHI", b"BM", 130, 0, 0, 66)
    + struct.pack("<IiiHHIIIIII", 40, 4, 4, 1, 32, 3, 64, 0, 0, 0, 0)
    + struct.pack("<III", 0xF00000, 0xFF00, 0xFF)
    + bytes(64)
)
UNSUPPORTED = {
    "float": write_deep((GREY / 255).astype(np.float32), "tiff"),
    "signed": patch_tag(DEEP_TIFF, 339, 2),
    "white is zero": patch_tag(DEEP_TIFF, 262, 0),
    "planes of 16 bits": patch_tag(DEEP["TIFF"][0], 284, 2),
    "PPM": b"P6\n2 2\n255\n" + bytes(12),
    "PGM": b"P5 2 2 255 " + bytes(4),
    "JP2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(52),
    "BMP of other masks": OTHER_MASKS,
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_files_that_no_decoder_reads_rightly_are_called_unsupported(name):
    with pytest.raises(pictures.PictureError, match="unsupported"):
        pictures.load(UNSUPPORTED[name], 8)


def test_deep_picture_of_more_than_40_million_pixels_is_too_large(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_DEEP_PIXELS", GREY.size - 1)
    with pytest.raises(pictures.PictureError, match="too_large"):
        pictures.load(DEEP_TIFF, 8)
    assert pictures.load(encode(PHOTO), 8).any()


def make_profile(name):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def swap_red_and_blue():
    """A profile in whose primaries red and blue change places, so that nobody can miss it."""
    profile = bytearray(make_profile("sRGB"))
    fields = {}
    for entry in range(132, 132 + 12 * profile[131], 12):
        name = bytes(profile[entry : entry + 4])
        fields[name] = slice(entry + 4, entry + 8)
    red = bytes(profile[fields[b"rXYZ"]])
    profile[fields[b"rXYZ"]] = profile[fields[b"bXYZ"]]
    profile[fields[b"bXYZ"]] = red
    old_name = "sRGB".encode("utf-16-be")
    return bytes(profile).replace(old_name, "Test".encode("utf-16-be"))


SWAPPED = swap_red_and_blue()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_embedded_colour_profile_is_converted_to_srgb(kind):
    picture = Image.new("RGB", (20, 20), RED)
    data = encode(picture, kind, icc_profile=SWAPPED, quality=100)
    most, _ = measure_distance(pictures.load(data, 8), BLUE)
    assert most < 12


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_colour_profile_of_a_transparent_picture_is_converted_on_white(kind):
    picture = Image.new("RGBA", (20, 20), (255, 0, 0, 128))
    data = encode(picture, kind, icc_profile=SWAPPED, lossless=True)
    most, _ = measure_distance(pictures.load(data, 8), (127, 127, 255))
    assert most < 8


# With names of their own, since a profile holds the second in which it was made.
PROFILES = {
    "sRGB": make_profile("sRGB"),
    "LAB": make_profile("LAB"),
    "none": b"no profile",
    "": b"",
}


@pytest.mark.parametrize("name", PROFILES)
def test_profile_that_changes_nothing_or_does_not_fit_leaves_the_colours(name):
    colour = (10, 130, 200)
    picture = Image.new("RGB", (20, 20), colour)
    data = encode(picture, icc_profile=PROFILES[name])
    most, _ = measure_distance(pictures.load(data, 8), colour)
    assert most <= 1


def zero_middle(data):
    middle = len(data) // 2
    return data[:middle] + bytes(2000) + data[middle + 2000 :]


def cut_with_marker(data):
    return data[: len(data) // 2] + b"\xff\xd9"


@pytest.mark.parametrize("damage", [zero_middle, cut_with_marker])
@pytest.mark.parametrize("progressive", [False, True])
def test_damaged_jpegs_are_refused(damage, progressive):
    words = []
    for seed in range(20):
        photo = draw_picture("Aves", np.random.default_rng(seed)).resize((800, 600))
        data = encode(photo, "jpeg", quality=90, progressive=progressive)
        assert pictures.load(data, 8).any()
        try:
            pictures.load(damage(data), 8)
        except pictures.PictureError as error:
            words.append(error.problem)
    assert len(words) >= 19
    assert set(words) <= {"corrupt", "truncated"}


WRITTEN = {
    "png": ("png", {}),
    "webp": ("webp", {"quality": 80}),
    "webp, lossless": ("webp", {"lossless": True}),
    "avif": ("avif", {}),
}


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_picture_whose_end_was_never_written_is_truncated(name, share):
    kind, options = WRITTEN[name]
    require_kind(kind)
    data = encode(PHOTO.resize((800, 600)), kind, **options)
    assert pictures.load(data, 8).any()
    kept = int(share * len(data))
    with pytest.raises(pictures.PictureError, match="truncated"):
        pictures.load(data[:kept] + bytes(len(data) - kept), 8)


@pytest.mark.parametrize("quality", [5, 80, 100])
def test_plain_areas_whose_code_is_zeros_are_no_cut(quality):
    picture = Image.new("RGB", (1500, 1000), "white")
    picture.paste(PHOTO)
    data = encode(picture, "webp", quality=quality, method=0)
    assert pictures.load(data, 8).any()


def test_lossless_jpeg_is_known_by_its_header_and_kills_no_process():
    data = encode(PHOTO, "jpeg")
    place = data.index(b"\xff\xc0")
    lossless = data[:place] + b"\xff\xc3" + data[place + 2 :]
    of_12_bits = data[: place + 4] + b"\x0c" + data[place + 5 :]
    for unusual in (lossless, of_12_bits):
        with pytest.raises(pictures.PictureError, match="unsupported"):
            pictures.load(unusual, 8)


def test_marker_of_a_lossless_jpeg_within_a_segment_says_nothing():
    data = encode(PHOTO, "jpeg")
    segment = b"\xff\xe1" + struct.pack(">H", 22) + b"\xff\xc3" + bytes(18)
    assert pictures.load(data[:2] + segment + data[2:], 8).any()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_decoded_in_full_has_the_pixels_that_pillow_gives(mode, subsampling):
    data = encode(PHOTO.convert(mode), "jpeg", subsampling=subsampling)
    shown, _ = pictures.decode(data, 5000)
    with Image.open(io.BytesIO(data)) as expected:
        assert np.array_equal(shown, np.asarray(expected.convert("RGB")))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "bmp", "gif", "tiff", "avif"])
def test_first_bytes_of_every_kind_are_known(kind):
    require_kind(kind)
    assert pictures.sniff(encode(PHOTO, kind)[:64]) == ""


HEIC = b"\0\0\0\x18ftypheic" + bytes(52)


def test_heif_without_its_decoder_is_named(monkeypatch):
    monkeypatch.setattr(pictures, "HAS_HEIF", False)
    with pytest.raises(pictures.PictureError, match="needs_pillow_heif"):
        pictures.load(HEIC, 8)


def test_heif_is_read_where_its_decoder_is_installed():
    pytest.importorskip("pillow_heif")
    data = encode(Image.new("RGB", (64, 48), RED), "heif", quality=100)
    most, _ = measure_distance(pictures.load(data, 8), RED)
    assert most < 12
    with pytest.raises(pictures.PictureError, match="corrupt"):
        pictures.load(HEIC, 8)


@pytest.mark.parametrize(("size", "most"), [((1100, 880), 0), ((4000, 3000), 1)])
def test_large_jpegs_look_as_they_do_when_they_are_decoded_in_full(size, most):
    data = encode(PHOTO.resize(size), "jpeg", quality=95)
    full = pictures.square(pictures.open_upright(data, 10_000), 224)
    _, mean = measure_distance(pictures.load(data, 224), full)
    assert mean <= most
    assert min(pictures.open_upright(data, 448).shape[:2]) >= 448


NOISE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
PICTURE = Image.fromarray(NOISE)
UNUSABLE = {
    "empty": b"",
    "not_a_picture": b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
    "truncated": encode(PICTURE, "jpeg")[:2000],
    "too_large": claim_jpeg(10_000),
    "git_lfs_pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n",
    "corrupt": encode(PICTURE).replace(b"IDAT", b"IDAX"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("problem", UNUSABLE)
def test_unusable_file_is_named_with_its_problem(tmp_path, problem):
    path = tmp_path / "bad.jpg"
    path.write_bytes(UNUSABLE[problem])
    with pytest.raises(pictures.PictureError, match="bad.jpg") as caught:
        pictures.load(path, 8)
    assert caught.value.problem == problem
