"""A trial on training pictures set apart: after how many epochs a loss is lowest."""

from os import environ

import keras
import numpy as np

from lib.data import generators
from lib.data.split import deal_folds
from lib.models import configs, contest, linear, saved, training

# Of how many training pictures one is set apart; the most epochs that a head is trained for.
ONE_IN, MOST = 10, 60
# Counts in the key of a trial, as TRAINING_VERSION does: raise it when heads are made otherwise.
VERSION = 2


def set_apart(y_true, groups, seed: int) -> np.ndarray:
    """Choose a tenth of the training pictures, the classes in equal proportion, no group divided.

    Takes int (n,), positions of the classes, and int (n,), equal for what belongs together. Returns
    bool (n,); every class keeps pictures in the rest. A ValueError where the pictures are too few,
    or too much alike, to set any apart.
    """
    y_true, groups = np.asarray(y_true), np.asarray(groups)
    chosen = deal_folds(y_true, groups, ONE_IN, seed) == 0
    lacking = ~np.isin(y_true, y_true[~chosen])
    chosen &= ~np.isin(groups, groups[lacking])
    if not chosen.any():
        raise ValueError(
            "No tenth of the training part can be set apart: its pictures are too few, or belong "
            "to too few groups. Fine-tuning needs more pictures."
        )
    return chosen


def refit_head(features, y_true, num_classes, groups, chosen, penalty, seed) -> keras.Model:
    """Fit a linear head of 05 on some of its pictures, with its penalty, as 05 did on all of them.

    Args:
        features: float32 (n, d), of all.
        y_true, groups: int (n,), as in `set_apart`.
        chosen: bool (n,), the pictures to learn from.
        seed: decides the folds in which the temperature is found.

    Returns the head, from features to probabilities.
    """
    basis, chosen = linear.find_basis(features), np.flatnonzero(chosen)
    told = (basis, y_true, num_classes)
    _, temperature, start = linear.choose_penalty(*told, chosen, groups, seed)
    fitted = linear.fit_linear(*told, penalty, chosen, start)
    return contest.build_head(*basis.find_kernel(fitted), temperature)


def relearn_head(head: keras.Model, train) -> keras.Model:
    """Train a head of 04 anew on some of its pictures, until it knows them as well as the head does.

    The seed of `train`, `Batches` of the features of those pictures, decides the first weights: the
    same one gives the same bits on the same machine, so that a trial goes on.
    """
    keras.utils.set_random_seed(train.seed)
    again = keras.models.clone_model(head)
    again.trainable = True
    again.compile(training.Adam(), "categorical_crossentropy")
    one_hot = keras.utils.to_categorical(train.y_true, train.num_classes)
    everything = train.inputs[np.arange(len(one_hot))], one_hot
    first = again.get_weights()
    again.set_weights(head.get_weights())
    enough = again.evaluate(*everything, batch_size=1024, verbose=0)

    def stop_there(epoch, logs):
        again.stop_training = again.evaluate(*everything, batch_size=1024, verbose=0) <= enough

    again.set_weights(first)
    stop = keras.callbacks.LambdaCallback(on_epoch_end=stop_there)
    again.fit(*everything, train.batch_size, MOST, callbacks=[stop], verbose=0)
    return again


def try_epochs(build, start, train, held_out, ws, name, epochs, settings, class_weight) -> dict:
    """Train on part of the pictures, and measure after each epoch on those that were set apart.

    Args:
        build: returns the compiled model to train.
        start: the hash of the file that the training starts from.
        train, held_out: `Batches` of the two.
        ws, name: the workspace, and the name of the model to be made, in whose JSON an earlier
            trial of the same training is found.
        epochs, settings, class_weight: as in `training.fit`.

    Returns, for the model's JSON: key; accuracy and loss on the pictures set apart, lists that
    begin with the start; epochs, after how many the loss was lowest among those that make no more
    mistakes than the start; 0 for the start itself.
    """
    top = build()
    parts = [training.TRAINING_VERSION, VERSION, start, epochs, settings, class_weight]
    parts += [configs.describe_config(top.get_config()), configs.describe_training(top)]
    key = configs.make_key(*parts, *train.describe(), *held_out.describe())
    kept = saved.read_metadata(ws, name).get("trial", {})
    if kept.get("key") == key and not environ.get("TRAIN_ANEW"):
        return kept
    first = top.evaluate(generators.stream(held_out), return_dict=True, verbose=0)
    run = training.fit(top, train, held_out, ws, f"{name}-trial", epochs, settings, class_weight)
    accuracy = [first["accuracy"], *run.history.val_accuracy]
    loss = [first["loss"], *run.history.val_loss]
    best = int(np.argmin(np.where(np.array(accuracy) >= accuracy[0], loss, np.inf)))
    return {"key": key, "accuracy": accuracy, "loss": loss, "epochs": best}
