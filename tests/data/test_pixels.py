import multiprocessing
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_pictures import PICTURE, UNUSABLE, claim_jpeg, encode

from lib.data import copies_on_drive, labels, listing, pictures, pixels, split, store
from lib.data.split import identify_set, read_split
from lib.data.store import SHARDS, Store


def test_open_pixels_returns_what_load_returns_in_the_order_asked_for(prepared):
    files = read_split(prepared).file.sample(frac=1, random_state=0)
    for size in (8, 12):  # 12 was not prepared
        opened = pixels.open_pixels(prepared, files, size)
        expected = np.stack([pictures.load(prepared.train / file, size) for file in files])
        assert len(opened) == len(files)
        assert np.array_equal(opened[np.arange(len(files))], expected)


def count_decodings(monkeypatch):
    """Return a list that grows with every picture that is decoded."""
    decoded, decode = [], pictures.decode
    monkeypatch.setattr(pictures, "decode", lambda *a: decoded.append(a) or decode(*a))
    return decoded


def measure_store(scratch, size=8):
    """Return how many pictures of a size are kept."""
    return len(pixels.open_stores(scratch, [size])[size])


def test_unusable_file_is_reported_and_kept_out_of_the_store(ws, draw_classes):
    draw_classes(ws.train, 2, ["red"])
    (ws.train / "red" / "001.png").write_bytes(UNUSABLE["not_a_picture"])
    files = ["red/000.png", "red/001.png", "red/gone.png"]
    table = pixels.prepare(ws.train, files, [8], ws.scratch)
    assert list(table.file) == files and list(table.problem) == ["", "not_a_picture", "unreadable"]
    assert tuple(table.loc[0, ["width", "height"]]) == (30, 24)
    assert measure_store(ws.scratch) == 1


def test_equal_files_share_one_row_of_the_store(ws, draw_classes, monkeypatch):
    draw_classes(ws.train, 1, ["red"])
    files = [f"red/{name}.png" for name in ("000", "b", "c", "d")]
    for file in files[1:]:
        (ws.train / file).write_bytes((ws.train / files[0]).read_bytes())
    monkeypatch.setattr(pixels, "count_cores", lambda: 1)
    ws.save_table(pixels.prepare(ws.train, files, [8], ws.scratch), "pictures.csv")
    assert measure_store(ws.scratch) == 1
    assert pixels.open_pixels(ws, files, 8)[np.arange(4)].shape == (4, 8, 8, 3)


def test_only_added_pictures_are_decoded(prepared, draw_classes, prepare_set, monkeypatch):
    decoded = count_decodings(monkeypatch)
    before = set(prepare_set(prepared).digest)
    assert not decoded and len(before) == 30
    draw_classes(prepared.train, 13)
    after = set(prepare_set(prepared).digest)
    assert len(decoded) == len(after - before) > 9
    files = read_split(prepared).file
    expected = np.stack([pictures.load(prepared.train / file, 8) for file in files])
    assert np.array_equal(pixels.open_pixels(prepared, files, 8)[:], expected)


def test_sizes_and_facts_share_a_decoding(ws, draw_classes, monkeypatch):
    draw_classes(ws.train, 1)
    files, decoded = labels.list_pictures(ws, ws.train).file, count_decodings(monkeypatch)
    pixels.prepare(ws.train, files, [10, 14, 200, 300], ws.scratch)
    assert len(decoded) == 2 * len(files)


def test_picture_that_fails_at_one_size_is_unusable_at_all(ws, draw_classes, monkeypatch):
    draw_classes(ws.train, 2)
    decode = pictures.decode

    def fail_when_large(data, least_side):
        if least_side > 256 and data == (ws.train / "red/001.png").read_bytes():
            raise pictures.PictureError("corrupt")
        return decode(data, least_side)

    monkeypatch.setattr(pictures, "decode", fail_when_large)
    files = labels.list_pictures(ws, ws.train).file
    table = pixels.prepare(ws.train, files, [8, 300], ws.scratch)
    assert list(table.file[table.problem == "corrupt"]) == ["red/001.png"]
    assert measure_store(ws.scratch, 8) == measure_store(ws.scratch, 300) == 5


def prepare_and_die(folder, files, scratch, doomed, call):
    """Prepare pictures in blocks of 32 and die by kill -9 when `doomed` is called that often."""
    place = {"decode": pictures, "put": Store}[doomed]
    real, calls = getattr(place, doomed), []

    def count_and_die(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    pixels.BLOCK = 32
    setattr(place, doomed, count_and_die)
    pixels.prepare(folder, files, [8, 12], scratch)


@pytest.mark.parametrize(("doomed", "call"), [("decode", 200), ("put", 8)])
def test_killed_preparation_goes_on_to_the_result_of_an_uninterrupted_one(
    ws, draw_classes, doomed, call
):
    draw_classes(ws.train, 100)
    files = list(labels.list_pictures(ws, ws.train).file)
    scratch, whole = ws.scratch / "killed", ws.scratch / "whole"
    process = multiprocessing.get_context("spawn").Process(
        target=prepare_and_die, args=(ws.train, files, scratch, doomed, call)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert 0 < measure_store(scratch) < len(files)
    tables = [pixels.prepare(ws.train, files, [8, 12], folder) for folder in (scratch, whole)]
    assert tables[0].equals(tables[1])
    for size in (0, 8, 12):
        killed, expected = (pixels.open_stores(f, [8, 12])[size] for f in (scratch, whole))
        assert np.array_equal(killed[tables[0].digest], expected[tables[0].digest])


def prepare_in_process(folder, files, scratch, count):
    """Prepare as a process of its own, and tell how many pictures it has decoded itself."""
    decode, pixels.BLOCK = pictures.decode, 16

    def note(*arguments):
        with count.get_lock():
            count.value += 1
        return decode(*arguments)

    pictures.decode = note
    pixels.prepare(folder, files, [8], scratch)


def test_chains_that_share_a_scratch_folder_decode_every_picture_once_and_mix_none_up(
    ws, draw_classes
):
    draw_classes(ws.train / "a", 40, seed=1)
    draw_classes(ws.train / "b", 40, seed=2)
    context = multiprocessing.get_context("fork")
    count, processes = context.Value("i", 0), []
    for part in ("a", "a", "b", "a", "b", "."):
        files = list(listing.walk(ws.train / part).file)
        processes.append(
            context.Process(
                target=prepare_in_process, args=(ws.train / part, files, ws.scratch, count)
            )
        )
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert count.value == measure_store(ws.scratch) == 240
    files = list(listing.walk(ws.train).file)
    ws.save_table(pixels.prepare(ws.train, files, [8], ws.scratch), "pictures.csv")
    expected = np.stack([pictures.load(ws.train / file, 8) for file in files])
    assert np.array_equal(pixels.open_pixels(ws, files, 8)[:], expected)


@pytest.mark.parametrize("new_content", [encode(PICTURE), b"", None])
def test_picture_changed_since_01_is_an_error_that_names_it(prepared, new_content):
    path = prepared.train / "red" / "003.png"
    path.unlink() if new_content is None else path.write_bytes(new_content)
    with pytest.raises(ValueError, match="red/003.png.*01_data_prep"):
        pixels.open_pixels(prepared, read_split(prepared).file, 12)


def test_damaged_pixels_are_decoded_again_by_whoever_opens_them(prepared):
    files = read_split(prepared).file
    expected = pixels.open_pixels(prepared, files, 8)[:]
    for damage in ("flip", "cut", "delete"):
        shard = next((prepared.scratch / "loader_3/pixels_8").glob(SHARDS))
        content = shard.read_bytes()
        if damage == "flip":
            shard.write_bytes(content[:-1000] + bytes(1000))
        else:
            shard.write_bytes(content[:-7]) if damage == "cut" else shard.unlink()
        assert np.array_equal(pixels.open_pixels(prepared, files, 8)[:], expected)


def test_pixels_of_an_older_loader_are_never_served(prepared, monkeypatch):
    files = read_split(prepared).file
    load, before = pictures.square, identify_set(prepared)
    monkeypatch.setattr(pictures, "square", lambda *a: 255 - load(*a))
    for module in (pictures, store, split, copies_on_drive):
        monkeypatch.setattr(module, "LOADER_VERSION", pictures.LOADER_VERSION + 1)
    expected = np.stack([pictures.load(prepared.train / file, 8) for file in files])
    assert np.array_equal(pixels.open_pixels(prepared, files, 8)[:], expected)
    assert identify_set(prepared) != before, "what was trained before has seen other pixels"


def test_large_pictures_are_decoded_one_at_a_time_and_too_large_ones_not_at_all(
    tmp_path, monkeypatch
):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    for number in range(4):
        Image.fromarray(noise[number:]).resize((400, 300)).save(tmp_path / f"{number}.png")
    (tmp_path / "179 million.jpg").write_bytes(claim_jpeg(13_400))
    at_once, most, read = [], [], pictures._read_samples

    def note(*arguments):
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.1)
        at_once.pop()
        return read(*arguments)

    monkeypatch.setattr(pictures, "_read_samples", note)
    monkeypatch.setattr(pixels, "count_cores", lambda: 4)
    monkeypatch.setattr(pixels, "BLOCK", 1)
    files = [f"{number}.png" for number in range(4)] + ["179 million.jpg"]
    for limit, expected in ((100_000, 1), (130_000, 4)):
        monkeypatch.setattr(pictures, "LARGE_PICTURE", limit)
        table = pixels.prepare(tmp_path, files, [8], tmp_path / f"scratch {limit}")
        assert list(table.problem) == [""] * 4 + ["too_large"]
        assert max(most) == expected or expected > 1 and max(most) > 1
        most.clear()


@pytest.fixture
def kept(prepared, drive):
    """A prepared workspace whose results are on Drive, where its pixels were kept."""
    os.rename(prepared.results, drive / "results")
    ws = replace(prepared, results=drive / "results")
    pixels.keep_copies(ws, [8])
    return ws


def test_kept_pixels_come_back_without_any_picture(kept, read_all):
    files = read_split(kept).file
    expected = pixels.open_pixels(kept, files, 8)[:]
    empty = replace(kept, train=kept.train / "gone", scratch=kept.scratch / "new")
    assert np.array_equal(pixels.open_pixels(empty, files, 8)[:], expected)
    copies = kept.results.parent / "results_pixels"
    before = read_all(copies)
    pixels.keep_copies(empty, [8])
    assert read_all(copies) == before and len(before) == 2


def test_damaged_copy_of_pixels_is_noticed_and_made_anew(kept, capsys):
    (copy,) = (kept.results.parent / "results_pixels/loader_3/pixels_8").glob(SHARDS)
    content = bytearray(copy.read_bytes())
    content[-1000] ^= 1
    copy.write_bytes(content)
    files = read_split(kept).file
    expected = pixels.open_pixels(kept, files, 8)[:]
    again = replace(kept, scratch=kept.scratch / "new")
    assert np.array_equal(pixels.open_pixels(again, files, 8)[:], expected)
    assert "is damaged" in capsys.readouterr().out
    third = replace(kept, train=kept.train / "gone", scratch=kept.scratch / "third")
    assert np.array_equal(pixels.open_pixels(third, files, 8)[:], expected)


def test_copy_of_added_pictures_replaces_the_older_one(kept, draw_classes, prepare_set):
    draw_classes(kept.train, 12, seed=5)
    prepare_set(kept)
    pixels.keep_copies(kept, [8])
    assert measure_store(kept.results.parent / "results_pixels") == measure_store(kept.scratch) > 30


def test_no_copy_is_made_where_results_are_not_on_drive(prepared):
    pixels.keep_copies(prepared, [8])
    assert not (prepared.results.parent / "results_pixels").exists()
