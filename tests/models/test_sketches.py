"""The network of the demo without downloads: what it has learned from, and that it serves the demo."""

import judge_sketches
import numpy as np
import pretrain_sketches

from lib.data.drawing import CREATURES
from lib.data.pictures import load
from lib.models import backbones, linear, parts


def test_no_kind_is_the_demos_nor_shares_a_stroke_with_it_and_no_two_are_alike():
    kinds = pretrain_sketches.list_kinds()
    recipes = [[*kind["sketch"]] for kind in kinds.values()]
    strokes = {
        repr((one["ink"], one["path"]))
        for kind in CREATURES.values()
        for one in kind["sketch"]
    }
    written = [
        [repr((one["ink"], [list(place) for place in one["path"]])) for one in r]
        for r in recipes
    ]
    assert len(CREATURES) == 10 and len(kinds) == pretrain_sketches.KINDS
    assert not strokes & {stroke for recipe in written for stroke in recipe}
    assert len({*map(str, written)}) == len(kinds)


def test_file_is_small_and_says_how_it_was_made():
    made = backbones.describe_sketches()
    assert backbones.SKETCHES_FILE.stat().st_size <= 1_500_000
    assert (
        made["kinds"] == pretrain_sketches.KINDS
        and made["seed"] == pretrain_sketches.SEED
    )
    network = backbones.load_backbone("sketches", None, None, {}, None)
    assert network.image_size == made["side"] == pretrain_sketches.SIDE


def test_a_linear_head_on_it_knows_most_drawings_that_it_has_never_seen():
    files, y_true = judge_sketches.draw_fresh(count=12)
    network = backbones.load_backbone("sketches", None, None, {}, None)
    images = np.array([load(file, network.image_size) for file in files])
    features = parts.build_extractor(network).predict(images, verbose=0)
    learns = np.arange(len(y_true)) % 3 > 0
    groups = np.arange(learns.sum())
    head, _ = linear.fit(features[learns], y_true[learns], 10, groups, seed=0)
    answers = head.predict_proba(features[~learns]).argmax(axis=1)
    assert (answers == y_true[~learns]).mean() > 0.8
