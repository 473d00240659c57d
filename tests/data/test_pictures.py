import io
import struct
import subprocess
import sys
from unittest import mock

import cv2
import numpy as np
import pytest
import simplejpeg
from conftest import load_bytes
from drawing import draw_picture
from PIL import ExifTags, Image, ImageCms
from PIL.Image import Transpose

from lib.base.workspace import REPOSITORY
from lib.data import pictures

RED = (255, 0, 0)
BLUE = (0, 0, 255)
SIZE = (9, 7)
PHOTO = draw_picture("Aves", np.random.default_rng(3))
COLOUR = np.asarray(PHOTO)
GREY = np.asarray(PHOTO.convert("L"))


def encode(picture, kind="png", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def measure_largest_difference(shown, expected):
    difference = np.subtract(shown, expected, dtype=float)
    return abs(difference).max()


def find_problem(data):
    """Return the word of a file that can't be used, "" of one that can."""
    try:
        load_bytes(data, 8)
    except pictures.PictureError as error:
        return error.problem
    return ""


def paint(mode, colour, kind="png"):
    picture = Image.new(mode, SIZE, colour)
    return encode(picture, kind)


def paint_clear_palette():
    picture = Image.new("P", SIZE, 0)
    picture.putpalette(RED)
    return encode(picture, transparency=0)


def paint_animation():
    first = Image.new("RGB", SIZE, RED)
    second = Image.new("RGB", SIZE, BLUE)
    return encode(first, "gif", save_all=True, append_images=[second])


ODD = {
    "grey": (paint("L", 77), 77),
    "half clear": (paint("RGBA", (0, 0, 0, 128)), 127),
    "clear palette": (paint_clear_palette(), 255),
    "animation": (paint_animation(), RED),
}


@pytest.mark.parametrize("name", ODD)
def test_every_kind_of_picture_becomes_rgb_bytes(tmp_path, name):
    data, colour = ODD[name]
    path = tmp_path / "named_wrongly.jpg"
    path.write_bytes(data)

    loaded = pictures.load(path, 6)

    assert loaded.shape == (6, 6, 3)
    assert measure_largest_difference(loaded, colour) <= 2


def paint_previews():
    """Paint a JPEG with a second picture behind it, as phones do."""
    first = Image.new("RGB", SIZE, RED)
    return encode(first, "mpo", save_all=True, append_images=[first])


FRAMES = {
    "an animation": (paint_animation(), 2),
    "a preview": (paint_previews(), 1),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_are_counted(kind):
    data, count = FRAMES[kind]
    assert pictures.decode(data, 100).frames == count


def make_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("exif", [make_exif(9), b"Exif\0\0II*\0 damaged"])
def test_exif_that_says_nothing_leaves_the_picture_as_it_is(exif):
    data = encode(Image.new("RGB", (40, 20), RED), "jpeg", exif=exif)
    assert pictures.decode(data, 100).pixels.shape == (20, 40, 3)


ORIGINAL = ExifTags.Base.DateTimeOriginal
DIGITIZED = ExifTags.Base.DateTimeDigitized
NOON = "2024:05:01 12:00:00"
DATES = {
    "of the original": {ORIGINAL: NOON, DIGITIZED: "2025:01:01 00:00:00"},
    "digitized": {DIGITIZED: NOON},
    "of ISO 8601": {ORIGINAL: "2024-05-01T12:00:00"},
    "a blank behind": {ORIGINAL: NOON + " "},
    "fractions behind": {ORIGINAL: NOON + ".25"},
    "no original": {ORIGINAL: "0000:00:00 00:00:00", DIGITIZED: NOON},
    "no day": {ORIGINAL: "2024:02:30 12:00:00"},
}


@pytest.mark.parametrize("kind", DATES)
def test_date_of_exif_is_read_as_programs_write_it(kind):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(DATES[kind])
    data = encode(Image.new("RGB", SIZE, RED), "jpeg", exif=exif)

    taken = pictures.decode(data, 100).taken

    expected = "NaT" if kind == "no day" else "2024-05-01T12:00:00"
    assert str(taken) == expected


# How a camera turns an upright picture which it stores with this orientation.
TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


@pytest.mark.parametrize("kind", ["jpeg", "tiff"])
@pytest.mark.parametrize("orientation", TURNS)
def test_each_orientation_gives_one_upright_picture_and_its_size(kind, orientation):
    upright = Image.new("RGB", (32, 16))
    upright.paste(RED, (0, 0, 16, 8))
    stored = upright.transpose(TURNS[orientation])
    data = encode(stored, kind, exif=make_exif(orientation), subsampling=0)

    decoded = pictures.decode(data, 100)

    assert (decoded.width, decoded.height) == (32, 16)
    assert measure_largest_difference(decoded.pixels, upright) < 8


def write_deep(samples, kind):
    """Encode samples of any depth with OpenCV, which takes RGB for BGR."""
    if samples.ndim == 3:
        order = [2, 1, 0, 3][: samples.shape[2]]
        samples = np.ascontiguousarray(samples[..., order])
    _, data = cv2.imencode(f".{kind}", samples)
    return data.tobytes()


def change_entry(data, tag, count, new_tag, value):
    """Let an entry of a little-endian TIFF, of short numbers, have another tag, and one value."""
    start = data.index(struct.pack("<HHI", tag, 3, count))
    entry = struct.pack("<HHII", new_tag, 3, 1, value)
    return data[:start] + entry + data[start + 12 :]


def write_tiff(samples, planes=False, white=None):
    """Write a TIFF of 16 bits, uint16 (height, width, 3), whose colours may stand in planes of their own."""
    stored = samples.transpose(2, 0, 1) if planes else samples
    strips = np.array_split(stored.astype("<u2").ravel(), 3 if planes else 1)
    data = b"".join(strip.tobytes() for strip in strips)
    height, width, _ = samples.shape
    size = strips[0].nbytes
    # Each tag and its values, of 4 bytes.
    tags = {
        256: [width],
        257: [height],
        258: [16, 16, 16],
        259: [1],
        262: [2],
        273: [8 + number * size for number in range(len(strips))],
        277: [3],
        278: [height],
        279: [size] * len(strips),
        281: [white] * 3,
        284: [2 if planes else 1],
    }
    if white is None:
        del tags[281]
    behind = 8 + len(data)
    directory = struct.pack("<H", len(tags))
    for tag, values in tags.items():
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            data += packed
            packed = struct.pack("<I", behind)
            behind = 8 + len(data)
        directory += struct.pack("<HHI", tag, 4, len(values)) + packed
    return struct.pack("<2sHI", b"II", 42, behind) + data + directory + bytes(4)


def write_white(samples, white):
    """Write a grey TIFF of 16 bits that says what is white."""
    return encode(Image.fromarray(samples), "tiff", tiffinfo={281: white})


GREY_16 = GREY.astype(np.uint16) * 257
COLOUR_16 = COLOUR.astype(np.uint16) * 257
DEEP_TIFF = write_deep(GREY_16, "tiff")
COLOUR_TIFF = write_deep(COLOUR_16, "tiff")
FOUR_TIFF = write_deep(np.dstack([COLOUR_16, GREY_16]), "tiff")
CLEAR = np.full((7, 9, 4), [0, 0, 0, 200 * 257], np.uint16)
WHITENED = np.full((7, 9), 55, np.uint8)
DEEP = {
    "PNG": (write_deep(COLOUR_16, "png"), COLOUR),
    "TIFF": (COLOUR_TIFF, COLOUR),
    "grey TIFF": (DEEP_TIFF, GREY),
    # Of its four samples the last has no meaning.
    "RGBX TIFF": (change_entry(FOUR_TIFF, 339, 4, 338, 0), COLOUR),
    "TIFF whose white is 4,080": (
        write_tiff(COLOUR_16 // 257 * 16, white=4080),
        COLOUR,
    ),
    "grey TIFF whose white is 4,080": (write_white(GREY_16 // 257 * 16, 4080), GREY),
    "PNG with alpha": (write_deep(CLEAR, "png"), WHITENED),
    "TIFF with alpha": (write_deep(CLEAR, "tiff"), WHITENED),
}


@pytest.mark.parametrize("name", DEEP)
def test_samples_of_16_bits_look_like_the_plain_photograph(name):
    data, plain = DEEP[name]
    expected = load_bytes(encode(Image.fromarray(plain)), 64)

    shown = load_bytes(data, 64)

    assert np.mean(cv2.absdiff(shown, expected)) < 1


DIM = {
    "PNG": (write_deep(GREY_16 // 16, "png"), True),
    "TIFF": (write_tiff(COLOUR_16 // 16), True),
    "TIFF that reaches 4,096": (write_tiff(COLOUR_16 // 16 + 1), False),
    "TIFF that says so": (write_tiff(COLOUR_16 // 16, white=4095), False),
}


@pytest.mark.parametrize("name", DIM)
def test_pictures_of_16_bits_that_may_have_12_are_known(name):
    data, is_dim = DIM[name]
    assert pictures.decode(data, 64).dim == is_dim


def test_error_of_a_decoder_whose_interface_moved_is_no_damage(monkeypatch):
    moved = mock.Mock(side_effect=TypeError("unexpected keyword argument 'min_height'"))
    monkeypatch.setattr(simplejpeg, "decode_jpeg", moved)

    with pytest.raises(TypeError, match="min_height"):
        load_bytes(encode(PHOTO, "jpeg"), 64)


def change_frame(place, value):
    """A JPEG in whose frame header one byte is another."""
    data = bytearray(encode(PHOTO, "jpeg"))
    data[data.index(b"\xff\xc0") + place] = value
    return bytes(data)


def write_cr2():
    """A TIFF with the mark of a CR2 behind its header; its directory stands at the end."""
    data = encode(PHOTO, "tiff")
    return data[:4] + struct.pack("<I", len(data)) + b"CR\2\0" + data[12:] + data[8:]


UNSUPPORTED = {
    # What such a file shows first is a preview: so do NEF, DNG and ARW, and CR2.
    "RAW whose first picture is a reduced one": encode(
        PHOTO, "tiff", tiffinfo={254: 1}
    ),
    "CR2": write_cr2(),
    "ORF": b"IIRO\x08\0\0\0" + bytes(52),
    "float": write_deep((GREY / 255).astype(np.float32), "tiff"),
    "white is zero": change_entry(DEEP_TIFF, 262, 1, 262, 0),
    "13 bands": change_entry(COLOUR_TIFF, 277, 1, 277, 13),
    # Pillow would read three planes of 8 bits, which is noise.
    "planes of 16 bits": write_tiff(COLOUR_16, planes=True),
    "JP2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(52),
    # These two would end the process.
    "lossless JPEG": change_frame(1, 0xC3),
    "JPEG of 12 bits": change_frame(4, 12),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_files_that_no_decoder_reads_rightly_are_called_unsupported(name):
    assert find_problem(UNSUPPORTED[name]) == "unsupported"


def test_page_of_a_tiff_that_is_no_preview_is_read():
    pages = encode(PHOTO, "tiff", tiffinfo={254: 2})
    assert find_problem(pages) == ""


def test_marker_of_a_lossless_jpeg_within_a_segment_says_nothing():
    data = encode(PHOTO, "jpeg", exif=b"\xff\xc3" + bytes(18))
    assert find_problem(data) == ""


def make_profile(name):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def swap_red_and_blue():
    """A profile in whose primaries red and blue change places, so that nobody can miss it."""
    profile = make_profile("sRGB")
    profile = profile.replace(b"rXYZ", b"xXYZ")
    profile = profile.replace(b"bXYZ", b"rXYZ")
    profile = profile.replace(b"xXYZ", b"bXYZ")
    return profile.replace("sRGB".encode("utf-16-be"), "Test".encode("utf-16-be"))


SWAPPED = swap_red_and_blue()


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_embedded_colour_profile_is_converted_to_srgb(kind):
    picture = Image.new("RGB", (20, 20), RED)
    data = encode(picture, kind, icc_profile=SWAPPED, quality=100)

    shown = load_bytes(data, 8)

    assert measure_largest_difference(shown, BLUE) < 12


# With names of their own, since a profile holds the second in which it was made.
PROFILES = {
    "sRGB": make_profile("sRGB"),
    "LAB": make_profile("LAB"),
    "none": b"no profile",
}


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("name", PROFILES)
def test_profile_that_changes_nothing_or_does_not_fit_leaves_the_colours(name, kind):
    colour = (10, 130, 200)
    picture = Image.new("RGB", (20, 20), colour)
    data = encode(picture, kind, icc_profile=PROFILES[name], quality=100)

    shown = load_bytes(data, 8)

    assert measure_largest_difference(shown, colour) <= 1


def test_jpeg_whose_profile_is_cut_is_read_without_it():
    data = encode(PHOTO, "jpeg", icc_profile=SWAPPED)
    # The marker says that it is the first of two.
    halved = data.replace(b"ICC_PROFILE\0\1\1", b"ICC_PROFILE\0\1\2")
    assert halved != data
    assert find_problem(halved) == ""


def zero_middle(data):
    middle = len(data) // 2
    return data[:middle] + bytes(2000) + data[middle + 2000 :]


def cut_with_marker(data):
    return data[: len(data) // 2] + b"\xff\xd9"


@pytest.mark.parametrize("damage", [zero_middle, cut_with_marker])
@pytest.mark.parametrize("progressive", [False, True])
def test_damaged_jpegs_are_refused(damage, progressive):
    photo = PHOTO.resize((800, 600))
    data = encode(photo, "jpeg", quality=90, progressive=progressive)
    assert find_problem(damage(data)) in ("corrupt", "truncated")


WRITTEN = {
    "png": ("png", {}),
    "webp": ("webp", {"quality": 80}),
    "webp, lossless": ("webp", {"lossless": True}),
    "avif": ("avif", {}),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_picture_whose_end_was_never_written_is_truncated(name):
    kind, options = WRITTEN[name]
    data = encode(PHOTO.resize((800, 600)), kind, **options)
    missing = len(data) // 10

    assert find_problem(data) == ""
    assert find_problem(data[:-missing] + bytes(missing)) == "truncated"


def test_plain_areas_whose_code_is_zeros_are_no_cut():
    picture = Image.new("RGB", (1500, 1000), "white")
    picture.paste(PHOTO)
    data = encode(picture, "webp", quality=80, method=0)
    assert find_problem(data) == ""


def test_heif_of_a_plain_picture_is_no_cut_and_one_without_its_last_bytes_is():
    data = encode(Image.new("RGB", (1500, 1000), "white"), "heif")

    assert find_problem(data) == ""
    assert find_problem(data[:-100] + bytes(100)) == "truncated"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_decoded_in_full_has_the_pixels_that_pillow_gives(mode, subsampling):
    data = encode(PHOTO.convert(mode), "jpeg", subsampling=subsampling)
    with Image.open(io.BytesIO(data)) as picture:
        expected = picture.convert("RGB")

    shown = pictures.decode(data, 5000).pixels

    assert np.array_equal(shown, expected)


HEIC = b"\0\0\0\x18ftypheic" + bytes(52)


def test_heif_without_its_decoder_is_named():
    script = (
        "import sys; sys.modules['pillow_heif'] = None; from lib.data import pictures; "
        "pictures.decode(sys.stdin.buffer.read(), 8)"
    )
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, input=HEIC, capture_output=True, cwd=REPOSITORY)
    assert run.stderr.endswith(b": needs_pillow_heif\n")


def test_heif_is_read_by_its_decoder():
    data = encode(Image.new("RGB", (64, 48), RED), "heif", quality=100)
    assert measure_largest_difference(load_bytes(data, 8), RED) < 12


def test_large_jpegs_are_reduced_and_look_as_decoded_in_full():
    data = encode(PHOTO.resize((4000, 3000)), "jpeg", quality=95)
    in_full = pictures.decode(data, 10_000).pixels
    expected = pictures.square(in_full, 224)

    reduced = pictures.decode(data, pictures.find_decoding_side(224)).pixels

    # Both sides are halved while the shorter one stays at 448 or more.
    assert len(reduced) == 750
    shown = pictures.square(reduced, 224)
    assert np.mean(cv2.absdiff(shown, expected)) <= 1


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_jpeg_of_108_million_pixels_is_reduced_by_its_decoder():
    data = encode(Image.new("L", (12_000, 9_000), 77), "jpeg")

    decoded = pictures.decode(data, pictures.find_decoding_side(224))

    assert decoded.pixels.shape == (1125, 1500, 3)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_side_is_shrunk_to_the_means_of_its_pixels(axis):
    stripes = np.zeros((40, 40, 3), np.uint8)
    stripes[::4] = 200

    shrunk = pictures.square(stripes.swapaxes(0, axis), 10)

    assert set(shrunk.flat) == {50}


NOISE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
PICTURE = Image.fromarray(NOISE)
UNUSABLE = {
    "empty": b"",
    "not_a_picture": b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
    "truncated": encode(PICTURE, "jpeg")[:2000],
    "too_large": encode(Image.new("1", (10_000, 9_000))),
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
