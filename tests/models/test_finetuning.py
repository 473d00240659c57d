import multiprocessing
import os
import signal

import keras
import numpy as np
import pandas as pd
import pytest
from test_stages import build_small_backbone, put_head_on

from lib.data import generators
from lib.models import configs, finetuning, saved, stages, training
from lib.models.features import cached_features

NAME = "tiny_finetuned"
ABOUT = {"characteristics": "tiny", "purpose": "a test", "weights": "imagenet", "image_size": 8}
ABOUT |= {"notebook": "04_resnet50_transfer", "seed": 3, "parameters": {}}


def save_transfer(ws, name="tiny_transfer", notebook=ABOUT["notebook"]):
    """Save a model as 04 does, which was never trained."""
    model = put_head_on(build_small_backbone(), 8, name=name)
    run = training.Run(pd.DataFrame(columns=training.HISTORY_COLUMNS), "key", taken=False)
    with saved.save(model, run, ws, name, ABOUT | {"notebook": notebook}):
        pass


def build_top(ws, on_maps=False, policy="float32", rate=0.01, steps=5, epochs=4):
    """Build what 06 trains, of the saved model."""
    keras.utils.set_random_seed(3)
    model = configs.rebuild(saved.load_model(ws, "tiny_transfer"), NAME, policy)
    stages.unfreeze(model, stages.find_stages(model)[-1:])
    below, top = stages.cut_in_two(model, 1)
    top = top if on_maps else stages.hold_still(model)
    finetuning.compile_slower_below(top, model, 1, rate, steps, epochs)
    return model, below, top


def fine_tune(ws, die=False, on_maps=False, epochs=4, augment=False, **options):
    """Fine-tune the last stage on 24 pictures."""
    model, below, top = build_top(ws, on_maps, **options)
    parts = generators.pair(ws, 8, 5, seed=3, augment=augment)
    if on_maps:
        for part in parts:
            part.inputs = cached_features(below, part.inputs, ws)
    if die:
        fit = top.fit
        death = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: _die_in_epoch_3(top)
        )
        top.fit = lambda *a, callbacks, **o: fit(*a, callbacks=[*callbacks, death], **o)
    arguments = (top, model, *parts, ws, NAME, epochs, {}, None)
    return model, finetuning.fit_chosen(*arguments)


def _die_in_epoch_3(model):
    if model.optimizer.iterations == 2 * 5 + 2:
        os.kill(os.getpid(), signal.SIGKILL)


def assert_same_weights(one, two, **tolerances):
    """Compare two models."""
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        assert np.allclose(a, b, **tolerances)


def test_resumed_fine_tuning_equals_uninterrupted_fine_tuning(prepared, capsys):
    save_transfer(prepared)
    process = multiprocessing.get_context("spawn").Process(
        target=fine_tune, args=(prepared,), kwargs={"die": True, "augment": True}
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    resumed, run = fine_tune(prepared, augment=True)
    assert "goes on after epoch 2 of 4" in capsys.readouterr().out
    (kept,) = (prepared.results / "checkpoints").iterdir()
    kept.unlink()
    whole, expected = fine_tune(prepared, augment=True)
    assert_same_weights(resumed, whole, rtol=1e-4, atol=1e-5)
    columns = training.HISTORY_COLUMNS[:-1]
    pd.testing.assert_frame_equal(run.history[columns], expected.history[columns], rtol=1e-4)


def test_training_on_kept_maps_equals_training_on_pictures(prepared):
    save_transfer(prepared)
    on_pictures, first = fine_tune(prepared)
    on_maps, second = fine_tune(prepared, on_maps=True)
    assert_same_weights(on_pictures, on_maps, rtol=1e-3, atol=1e-4)
    assert np.allclose(first.history.val_loss, second.history.val_loss, rtol=1e-3)
    start = saved.load_model(prepared, "tiny_transfer")
    frozen, learned = (stages.find_stages(one) for one in (start, on_maps))
    moved = [
        any((a.numpy() != b.numpy()).any() for a, b in zip(one.weights, two.weights))
        for one, two in zip(frozen, learned)
    ]
    assert moved == [False, True]


def test_finished_fine_tuning_is_taken_from_its_files_by_the_whole_model(prepared, capsys):
    save_transfer(prepared)
    model, run = fine_tune(prepared, on_maps=True)
    with saved.save(model, run, prepared, NAME, ABOUT) as loaded:
        assert_same_weights(model, loaded, atol=0)
    again, taken = fine_tune(prepared, on_maps=True)
    assert taken.taken and "taken from the training of" in capsys.readouterr().out
    assert_same_weights(again, model, atol=0)
    _, other = fine_tune(prepared, on_maps=True, rate=0.02)
    assert not other.taken


def test_no_epochs_leave_the_start_and_have_a_history_of_epoch_0(prepared):
    save_transfer(prepared)
    model, run = fine_tune(prepared, epochs=0)
    assert_same_weights(model, saved.load_model(prepared, "tiny_transfer"), atol=0)
    assert list(run.history.columns) == training.HISTORY_COLUMNS and list(run.history.epoch) == [0]
    with saved.save(model, run, prepared, NAME, ABOUT):
        pass
    assert fine_tune(prepared, epochs=0)[1].history.equals(run.history)


def test_lower_layers_learn_slower_along_a_schedule_that_rises_and_falls(prepared):
    save_transfer(prepared)
    model, _, top = build_top(prepared, rate=0.01)
    adam = top.optimizer
    rates = dict(zip(map(id, top.trainable_variables), adam.rates))
    assert rates[id(model.layers[-1].layers[-1].kernel)] == 1
    stage = [id(v) for v in stages.find_stages(model)[-1].weights if id(v) in rates]
    assert {rates[one] for one in stage} == {1 / 2.6} and len(stage) > 2
    found = [float(adam._learning_rate(step)) for step in range(21)]
    assert np.argmax(found) == 5 and found[5] == pytest.approx(0.01)
    assert found[0] == 0 and found[20] == pytest.approx(0, abs=1e-9)
    assert (np.diff(found[:6]) > 0).all() and (np.diff(found[5:]) < 0).all()


def test_rate_of_a_variable_scales_its_step_and_counts_in_the_configuration():
    moved = []
    for rates in ([1, 1], [1, 0.25]):
        variables = [keras.Variable(np.zeros(3, "float32")) for _ in range(2)]
        adam = finetuning.LayerwiseAdam(0.1, rates=rates)
        for _ in range(3):
            adam.apply([np.ones(3, "float32")] * 2, variables)
        moved.append([float(variable[0]) for variable in variables])
    assert moved[0][0] == moved[0][1] == moved[1][0]
    assert moved[1][1] == pytest.approx(moved[0][1] / 4, rel=1e-5)
    config = keras.saving.serialize_keras_object(adam)
    assert keras.saving.deserialize_keras_object(config).rates == [1, 0.25]


def test_half_precision_is_the_backbones_alone_and_saved_in_float32(prepared):
    save_transfer(prepared)
    model, run = fine_tune(prepared, policy="mixed_float16", epochs=1)
    within = {layer.dtype_policy.name for layer in stages.find_backbone(model).layers[1:]}
    assert within == {"mixed_float16"}
    assert {layer.dtype_policy.name for layer in model.layers[-2:]} == {"float32"}
    with saved.save(model, run, prepared, NAME, ABOUT) as loaded:
        assert {layer.compute_dtype for layer in loaded._flatten_layers()} == {"float32"}
        assert_same_weights(model, loaded, atol=0)


def test_gradients_in_float16_are_scaled(prepared):
    save_transfer(prepared)
    _, _, top = build_top(prepared, policy="mixed_float16")
    assert isinstance(top.optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(build_top(prepared)[-1].optimizer, finetuning.LayerwiseAdam)


def test_start_is_the_model_asked_for_else_the_winner_else_that_of_04(prepared):
    with pytest.raises(FileNotFoundError, match="05_backbones or 04_resnet50_transfer") as caught:
        finetuning.find_transfer(prepared)
    assert "02" not in str(caught.value), "its models have no backbone"
    save_transfer(prepared, "own_cnn", "02_baseline_cnn")
    with pytest.raises(FileNotFoundError, match="05_backbones or 04_resnet50_transfer"):
        finetuning.find_transfer(prepared)
    save_transfer(prepared)
    save_transfer(prepared, "first_linear", "05_backbones")
    assert finetuning.find_transfer(prepared) == "tiny_transfer"
    table = pd.DataFrame({"candidate": ["other", "first"], "chosen": [False, True]})
    prepared.save_table(table, "contest.csv")
    assert finetuning.find_transfer(prepared) == "first_linear"
    assert finetuning.find_transfer(prepared, "tiny_transfer") == "tiny_transfer"
    with pytest.raises(FileNotFoundError, match="own_cnn is no transfer model.*first_linear"):
        finetuning.find_transfer(prepared, "own_cnn")
