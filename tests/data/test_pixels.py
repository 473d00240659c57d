"""Pixels: decoded once, and equal to what the loader gives."""

import shutil
from unittest import mock

import numpy as np
import pytest
from conftest import decode_all, draw_classes, join_checks
from test_pictures import PICTURE, encode

from lib.data import pictures, pixels, split
from lib.data.split import identify_set, read_split


def prepare(ws, *sizes):
    """Decode all pictures; return them, with the problem of each, "" for none."""
    return join_checks(*decode_all(ws, sizes or [8]))


def count_kept(scratch, size=8):
    """Return how many pictures of a size are kept."""
    return len(pixels.open_rows(scratch, size).index)


def load_all(ws, rows, size=8):
    return np.stack([pictures.load(ws.train / file, size) for file in rows.file])


@pytest.mark.parametrize("size", [8, 12])  # 12 was not prepared
def test_open_pixels_returns_what_load_returns_in_the_order_asked_for(prepared, size):
    rows = read_split(prepared).sample(frac=1, random_state=0)

    opened = pixels.open_pixels(prepared, rows, size)

    expected = load_all(prepared, rows, size)
    assert np.array_equal(opened[np.arange(30)], expected)


def test_file_that_could_not_be_decoded_is_tried_again(ws, monkeypatch):
    """As after pillow-heif was installed."""
    draw_classes(ws.train, 2, ["red"])
    with monkeypatch.context() as patch:
        refuse = mock.Mock(side_effect=pictures.PictureError("needs_pillow_heif"))
        patch.setattr(pictures, "decode", refuse)
        assert list(prepare(ws).problem) == ["needs_pillow_heif"] * 2

    assert list(prepare(ws).problem) == ["", ""]


def test_equal_files_share_one_row(ws):
    draw_classes(ws.train, 2)
    shutil.copy(ws.train / "red/000.png", ws.train / "red/copy.png")
    rows = prepare(ws)

    opened = pixels.open_pixels(ws, rows, 8)

    assert count_kept(ws.scratch) == 6
    assert np.array_equal(opened[:], load_all(ws, rows))


def test_added_files_alone_are_decoded_once_for_the_facts_and_both_sizes(
    prepared, monkeypatch
):
    prepare(prepared, 8, 12)
    draw_classes(prepared.train / "red", 2, seed=5)
    decode = mock.Mock(wraps=pictures.decode)
    monkeypatch.setattr(pictures, "decode", decode)

    prepare(prepared, 8, 12)

    assert decode.call_count == 6


@pytest.mark.parametrize("new_content", [encode(PICTURE), b"", None])
def test_picture_changed_since_01_is_an_error_that_names_it(prepared, new_content):
    path = prepared.train / "red/003.png"
    path.unlink()
    if new_content is not None:
        path.write_bytes(new_content)

    with pytest.raises(OSError, match="red/003.png.*01_data_prep"):
        pixels.open_pixels(prepared, read_split(prepared), 12)
    with pytest.raises(OSError, match="red/003.png.*01_data_prep"):
        pixels.locate(prepared.train, read_split(prepared))


def test_what_was_trained_on_pixels_of_an_older_loader_is_of_another_set(
    prepared, monkeypatch
):
    before = identify_set(read_split(prepared))

    monkeypatch.setattr(split, "LOADER_VERSION", pictures.LOADER_VERSION + 1)

    assert identify_set(read_split(prepared)) != before
