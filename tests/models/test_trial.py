import keras
import numpy as np
import pandas as pd
import pytest
from test_finetuning import ABOUT, NAME, build_top, save_transfer

from lib.data import generators
from lib.models import contest, linear, saved, trial


def test_a_tenth_is_set_apart_of_every_class_and_no_group_is_divided():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 3)
    y_true = np.repeat(rng.integers(0, 3, 100), 3)
    apart = trial.set_apart(y_true, groups, seed=1)
    assert (apart == trial.set_apart(y_true, groups, seed=1)).all()
    assert (apart != trial.set_apart(y_true, groups, seed=2)).any()
    assert not set(groups[apart]) & set(groups[~apart])
    counts = np.bincount(y_true[apart]) / np.bincount(y_true)
    assert ((counts > 0.05) & (counts < 0.16)).all()


def test_no_class_is_set_apart_as_a_whole():
    y_true, groups = np.array([0] * 30 + [1]), np.arange(31)
    for seed in range(20):
        apart = trial.set_apart(y_true, groups, seed)
        assert apart.any() and not apart[30]
    with pytest.raises(ValueError, match="too few"):
        trial.set_apart([0, 0, 1, 1], [0, 0, 1, 1], seed=0)


def test_head_made_anew_knows_its_own_part_as_well_and_has_not_seen_the_rest():
    rng = np.random.default_rng(0)
    y_true = np.arange(120) % 3
    features = rng.normal(0, 4, (120, 40)).astype(np.float32)
    keras.utils.set_random_seed(1)
    head = keras.Sequential([keras.Input((40,)), keras.layers.Dense(3, "softmax")], name="head")
    head.compile("adam", "categorical_crossentropy")
    one_hot = keras.utils.to_categorical(y_true)
    head.fit(features, one_hot, epochs=40, verbose=0)
    apart = np.arange(120) < 40
    nine = generators.Batches(features[~apart], y_true[~apart], 3, 16, seed=1)
    again = trial.relearn_head(head, nine)

    def measure(model, chosen):
        return model.evaluate(features[chosen], one_hot[chosen], verbose=0)

    assert measure(again, ~apart) <= measure(head, ~apart) < measure(again, ~apart) + 0.1
    assert measure(again, apart) > measure(head, apart) + 0.3, "of noise there is nothing to know"
    same = trial.relearn_head(head, nine).get_weights()
    assert all((a == b).all() for a, b in zip(same, again.get_weights(), strict=True))


def test_linear_head_fitted_anew_is_that_of_07_and_has_not_seen_the_rest():
    rng = np.random.default_rng(0)
    y_true, groups = np.arange(120) % 3, np.arange(120)
    features = rng.normal(0, 4, (120, 40)).astype(np.float32)
    features[np.arange(120), y_true] += 4

    def refit(chosen, y_true=y_true):
        return trial.refit_head(features, y_true, 3, groups, chosen, 1e-3, seed=1)

    basis, everyone = linear.find_basis(features), np.arange(120)
    _, temperature, start = linear.choose_penalty(basis, y_true, 3, everyone, groups, 1)
    fitted = linear.fit_linear(basis, y_true, 3, 1e-3, everyone, start)
    own = contest.build_head(*basis.find_kernel(fitted), temperature)
    for a, b in zip(refit(everyone >= 0).get_weights(), own.get_weights(), strict=True):
        assert np.allclose(a, b, rtol=1e-3, atol=1e-4)
    apart = everyone < 40
    other = np.where(apart, (y_true + 1) % 3, y_true)
    for a, b in zip(refit(~apart).get_weights(), refit(~apart, other).get_weights()):
        assert (a == b).all()


def try_tiny(ws, rate=0.01, epochs=2):
    """Try on 24 pictures, as if the validation part had been set apart."""
    parts = generators.pair(ws, 8, 5, seed=3)
    start = saved.read_metadata(ws, "tiny_transfer")["file_hash"]

    def build():
        return build_top(ws, rate=rate)[-1]

    return trial.try_epochs(build, start, *parts, ws, NAME, epochs, {"rate": rate}, None)


def test_trial_measures_the_start_and_every_epoch_and_chooses_the_lowest_loss(prepared):
    save_transfer(prepared)
    tried = try_tiny(prepared)
    assert len(tried["loss"]) == len(tried["accuracy"]) == 3
    assert tried["epochs"] == np.argmin(tried["loss"])
    start = saved.load_model(prepared, "tiny_transfer")
    start.compile(loss="categorical_crossentropy")
    _, validation = generators.pair(prepared, 8, 5, seed=3)
    expected = start.evaluate(generators.stream(validation), verbose=0)
    assert tried["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_trial_done_twice_before_anything_is_saved_takes_what_the_first_kept(prepared, capsys):
    save_transfer(prepared)
    first, second = try_tiny(prepared), try_tiny(prepared)
    assert "goes on after epoch 2 of 2" in capsys.readouterr().out
    assert second["key"] == first["key"] and second["loss"][1:] == first["loss"][1:]


def test_training_that_only_harms_is_answered_with_no_epochs(prepared):
    save_transfer(prepared)
    assert try_tiny(prepared, rate=10.0)["epochs"] == 0


def test_an_epoch_with_more_mistakes_than_the_start_does_not_count(prepared, monkeypatch):
    save_transfer(prepared)
    first = try_tiny(prepared)["accuracy"][0]
    shown = {"val_loss": [0.01, 0.02], "val_accuracy": [first - 0.1, first]}
    run = trial.training.Run(pd.DataFrame(shown), "key", taken=False)
    monkeypatch.setattr(trial.training, "fit", lambda *arguments: run)
    monkeypatch.setenv("TRAIN_ANEW", "1")
    assert try_tiny(prepared)["epochs"] == 2


def test_finished_trial_is_taken_from_the_models_file_until_something_changes(
    prepared, monkeypatch
):
    save_transfer(prepared)
    tried, fit, fitted = try_tiny(prepared), trial.training.fit, []
    monkeypatch.setattr(trial.training, "fit", lambda *args: fitted.append(args) or fit(*args))
    prepared.save_json(ABOUT | {"trial": tried}, f"models/{NAME}.json")
    assert try_tiny(prepared) == tried and not fitted
    assert try_tiny(prepared, rate=0.02)["key"] != tried["key"] and len(fitted) == 1
    monkeypatch.setenv("TRAIN_ANEW", "1")
    try_tiny(prepared)
    assert len(fitted) == 2
