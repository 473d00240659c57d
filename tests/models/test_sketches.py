"""The network of the demo without downloads: what it has learned from, and that it serves the demo."""

import judge_sketches
import numpy as np
import pretrain_sketches
import pytest
from conftest import load_bytes
from drawing import CREATURES

from lib.models import backbones, linear, parts


def list_strokes(kind):
    """List the strokes of a kind of drawings, as text."""
    strokes = []
    for stroke in kind["sketch"]:
        path = np.array(stroke["path"], float).tolist()
        radii = np.array(stroke["radii"], float).tolist()
        strokes.append(f"{stroke['ink']} {path} {radii}")
    return strokes


def test_no_kind_is_the_demos_nor_shares_a_stroke_with_it_and_no_two_are_alike():
    kinds = [list_strokes(kind) for kind in pretrain_sketches.list_kinds().values()]
    demo = [list_strokes(kind) for kind in CREATURES.values()]
    assert len(kinds) == pretrain_sketches.KINDS
    assert len(demo) == 10

    assert not set().union(*kinds) & set().union(*demo)
    assert len({str(kind) for kind in kinds}) == len(kinds)


@pytest.fixture(scope="module")
def network():
    return backbones.load_backbone("sketches", None, None, {}, None)


def test_a_linear_head_on_it_knows_most_drawings_that_it_has_never_seen(network):
    files, y_true = judge_sketches.draw_fresh(12)
    images = np.array([load_bytes(file, network.image_size) for file in files])
    features = parts.build_extractor(network).predict(images, verbose=0)
    is_new = np.arange(len(y_true)) % 3 == 0
    known = y_true[~is_new]
    groups = np.arange(len(known))

    head = linear.TunedLogistic().fit(features[~is_new], known, groups)

    answers = head.predict_proba(features[is_new]).argmax(axis=1)
    assert (answers == y_true[is_new]).mean() > 0.8
