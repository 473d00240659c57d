"""Names and numbers say what they are, and rounding claims nothing."""

import html

from lib.evaluation import wording


def test_rounding_crosses_neither_the_level_nor_0():
    p_values = {
        0.0498: "p = 0.049",
        0.05: "p = 0.050",
        0.0009: "p < 0.001",
        1: "p = 1.000",
    }
    assert {p: wording.format_p(p) for p in p_values} == p_values
    bounds = {(0.00004, 0.1): "0.001 to 0.100", (-0.1, 0.0): "−0.100 to 0.000"}
    bounds[-0.058, 0.0004] = "−0.058 to 0.001"
    assert {pair: wording.format_bounds(*pair) for pair in bounds} == bounds


def test_only_0_and_1_are_written_as_such():
    texts = {
        (0.8875,): "89 %",
        (1,): "100 %",
        (0.974,): "97.4 %",
        (239 / 240,): "99.6 %",
        (0.9999,): "99.9 %",
        (0.0004,): "0.1 %",
    }
    texts |= {
        (0.8, 0.94): "80 to 94 %",
        (0, 0.9999): "0 to 99.9 %",
        (0.5, 0.5): "50 %",
    }
    for shares, text in texts.items():
        assert (
            wording.format_percent(*shares).replace("\N{NO-BREAK SPACE}", " ") == text
        )


def test_scores_and_counts_are_written_alike_everywhere():
    score = {"top1": 0.8875, "top1_interval": [0.8, 0.94]}
    assert wording.format_score(score, "top1") == "0.8875 (0.800 to 0.940)"
    assert wording.format_count(0.8875, 80) == "71 of 80"
    assert wording.format_things(2000, "class") == "2,000 classes"
    assert (
        wording.format_number(-0.0001) == "0.000"
        and wording.format_number(-0.1) == "−0.100"
    )


def test_escaped_names_are_shown_as_they_are_by_markdown_and_html():
    name = "<img src=x onerror=alert(1)> **b** `c` [d](e) $f$ _g_ h_i a\nb & \\"
    text = wording.escape_text(name)
    assert not set(text) & set("<>*`[]$\\\n=") and "h_i" in text
    assert html.unescape(text) == name.replace("\n", " ")
