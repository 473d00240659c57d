"""Strangers are marked as rarely as was asked."""

import numpy as np

from lib.evaluation.strangers import (
    describe_strangers,
    limit_strangers,
    mark_strangers,
)


def test_pictures_farther_away_than_their_share_of_known_ones_are_marked():
    known = np.arange(200)

    strangers = limit_strangers(known, known, coverage=0.95)

    # The limit is the tenth largest, 190: 0.05 times 201, rounded down.
    mark = strangers.mark
    notes = mark_strangers([300, 190.5, 190, 0, np.nan], strangers)
    assert notes == [mark, mark, "", "", ""]
    said = describe_strangers(strangers)
    assert (
        mark == "farther from its training pictures than 95 of 100 validation pictures"
    )
    assert said.startswith(f'"{mark}" marks strangers; 200 validation pictures')


def test_eighteen_groups_are_too_few_to_mark_strangers():
    groups = np.arange(72) // 4

    strangers = limit_strangers(np.zeros(72), groups, coverage=0.95)

    assert mark_strangers([9], strangers) == [""]
    assert describe_strangers(strangers).startswith("18 validation pictures")


def test_a_twentieth_at_most_is_marked_and_less_where_sets_may_miss_less():
    known = np.arange(199)

    # The ninth largest of 199, 0.05 times 200 down, and the second largest: 0.01 times 200.
    assert limit_strangers(known, known, 0.8).farthest == 189
    assert limit_strangers(known, known, 0.99).farthest == 197
