"""Train: the same training is done once, goes on where it was cut short, and is saved and checked."""

import inspect
from dataclasses import dataclass
from os import environ

import keras
import numpy as np
import pandas as pd

from lib.data import generators
from lib.data.split import identify_set
from lib.machine import set_seed
from lib.models import configs, pooling, saved
from lib.models.checkpoints import HISTORY_COLUMNS, EpochLog
from lib.models.origins import describe_base
from lib.storage import read_table

# Counts in every key: raise it when the same settings no longer give the same training.
TRAINING_VERSION = 4
# Parameters of a notebook that the JSON tells in another place.
ELSEWHERE = ("SEED", "SEEDS")
# Callbacks of Keras that change a training: its key doesn't know them, and they forget when it is cut short.
CHANGING = ("EarlyStopping", "LearningRateScheduler", "ReduceLROnPlateau", "SwapEMAWeights")


@dataclass(frozen=True)
class Run:
    """A training that came to its end."""

    # A row an epoch: epoch (from 1), accuracy, loss, val_accuracy, val_loss, seconds.
    history: pd.DataFrame
    key: str  # of all that decided the outcome
    taken: bool  # whether it is an earlier run's, read from its files
    model: keras.Model | None = None  # as it was trained


def train(build, batches, ws, parameters, seeds, *, notebook="", base=None, callbacks=()) -> Run:
    """Train a model once for each seed; save each, load it again, and check that it is what was trained.

    A training that was cut short goes on after its last whole epoch, and a finished one is taken from its
    files, unless anything that decides the outcome is other: pictures, layers, first weights, what
    learns, how it is compiled, the code of `build` and of what it uses. With TRAIN_ANEW=1 in the
    environment everything starts anew.

    Args:
        build: takes no arguments and returns a compiled model, RGB pictures of 0-255 to probabilities;
            or a pair: the part that is trained, and the whole model that it shares its layers with.
            Its docstring is what the JSON tells: a line of what the model is, then what it is for.
        batches: a pair of `Batches`, to train and to validate on.
        ws: the workspace.
        parameters: of the notebook; EPOCHS counts and, where there, CLASS_WEIGHTS and DETERMINISTIC.
        seeds: int; the first one's model has its own name, a further one's ends in @ and the seed.
        notebook, base: its name; the `Network`, or the saved model's name, that the model is built on.
        callbacks: further ones for `fit` that watch, say keras.callbacks.TensorBoard.

    Returns the run of the first seed. A ValueError where a file would not hold what the model is made of;
    a FloatingPointError where the loss is no number; an OSError where there is no room.
    """
    about = _describe(build, batches[0], parameters, describe_base(ws, base))
    runs = []
    for seed in seeds:
        set_seed(seed, parameters.get("DETERMINISTIC", False))
        built = build()
        model, whole = built if isinstance(built, tuple) else (built, built)
        name = f"{whole.name}@{seed}" if runs else whole.name
        configs.check_saveable(whole)
        _check_training(model, callbacks)
        pair = [part.reseed(seed) for part in batches]
        run = _fit((model, whole), build, pair, ws, name, parameters | {"SEED": seed}, callbacks)
        if not run.taken:
            size = {"notebook": notebook, "image_size": whole.input_shape[1], "seed": seed}
            with saved.save(whole, run, ws, name, about | size) as loaded:
                _check(loaded, model, whole, pair[1])
        runs.append(run)
    return runs[0]


def _check_training(model, callbacks) -> None:
    names = [type(callback).__name__ for callback in callbacks]
    if changing := [name for name in names if name in CHANGING]:
        raise ValueError(
            f"{changing[0]} changes a training, which is kept by its EPOCHS and its optimizer: give the "
            "optimizer a schedule (keras.optimizers.schedules), and EPOCHS their number."
        )
    metrics = configs.describe_compilation(model).get("metrics", "accuracy")
    if not model.compiled or "accuracy" not in keras.tree.flatten([metrics]):
        raise ValueError(f'Compile {model.name} with metrics=["accuracy"]: its history shows that.')


def _fit(models, build, batches, ws, name: str, parameters: dict, callbacks) -> Run:
    model, whole = models
    epochs, how = parameters["EPOCHS"], parameters.get("CLASS_WEIGHTS", "none")
    weights = generators.weigh_classes(batches[0].y_true, batches[0].num_classes, how)
    parts = [TRAINING_VERSION, identify_set(ws), model, *configs.describe_training(model, build)]
    parts += [epochs, weights, parameters.get("SEED"), parameters.get("DETERMINISTIC")]
    key = configs.make_key(*parts, *(each for part in batches for each in part.describe()))
    path = ws.file("checkpoints", f"{name}-{key[:16]}.npz")
    # Where there is one, the same training was begun anew, and goes on.
    if not path.exists() and (run := _take_finished(whole, ws, name, key)):
        return run
    log = EpochLog(path, epochs, batches[0], name)
    log.set_model(model)
    if environ.get("TRAIN_ANEW"):
        path.unlink(missing_ok=True)
    log.restore()
    streams = [generators.stream(part) for part in batches]
    # The batches shuffle themselves: the order must depend on seed and epoch alone.
    model.fit(
        streams[0],
        validation_data=streams[1],
        epochs=epochs,
        initial_epoch=len(log.rows),
        shuffle=False,
        verbose=0,
        class_weight=weights,
        callbacks=[log, *callbacks],
    )
    history = pd.DataFrame(log.rows, columns=HISTORY_COLUMNS).astype({"epoch": int})
    return Run(history, key, False, whole)


def _take_finished(whole, ws, name: str, key: str) -> Run | None:
    metadata = saved.read_metadata(ws, name)
    if environ.get("TRAIN_ANEW") or metadata.get("key") != key:
        return None
    try:
        # Read as text, since a CSV reader may round.
        history = read_table(ws.results / f"history/{name}.csv")[HISTORY_COLUMNS]
        history = history.replace("", "nan").astype(float).astype({"epoch": int})
        whole.set_weights(saved.load_model(ws, name).get_weights())
    except (OSError, KeyError, ValueError) as error:
        print(f"{name} is trained anew: {error}")
        return None
    date = metadata.get("date", "an earlier day")
    print(f"{name}: taken from the training of {date}; --anew trains again")
    return Run(history, key, True, whole)


def _describe(build, train, parameters: dict, base: dict) -> dict:
    first, _, rest = (inspect.getdoc(build) or "").partition("\n")
    chosen = {key.lower(): value for key, value in parameters.items() if key not in ELSEWHERE}
    chosen |= base["parameters"]
    name = base.get("started_from") or base["parameters"].get("backbone")
    what = first.rstrip(".") + (f" of {name}" if name else "") + ", augmentation" * train.augment
    purpose = " ".join(rest.split()).rstrip(".")
    if base["weights"] == "untrained":
        purpose = "a test run: the backbone has untrained weights"
    return base | {"characteristics": what, "purpose": purpose, "parameters": chosen}


def _check(loaded, model, whole, validation) -> None:
    """Raise an AssertionError where a file does not hold the weights, or the answers, of the training."""
    pairs = zip(loaded.get_weights(), whole.get_weights(), strict=True)
    assert all((one == other).all() for one, other in pairs), "the file holds other weights"
    chosen = slice(0, validation.batch_size)
    trained = np.asarray(model.predict_on_batch(validation.inputs[chosen]))
    answers = np.asarray(loaded.predict_on_batch(validation.pictures[chosen]))
    difference = abs(answers - trained).max()
    # The file computes in float32, whatever the training did.
    in_half = any("float16" in layer.compute_dtype for layer in pooling.list_layers(whole))
    print(f"{whole.name}: largest difference between file and training: {difference:.1e}")
    assert difference < (0.1 if in_half else 1e-4), "the file gives other probabilities"
