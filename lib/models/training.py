"""Fit: the same training is done once, and goes on where it was cut short."""

from dataclasses import dataclass
from os import environ

import keras
import pandas as pd

from lib.data import generators
from lib.data.split import identify_set
from lib.models import configs, saved
from lib.models.checkpoints import HISTORY_COLUMNS, EpochLog
from lib.storage import read_table

# Counts in every key: raise it when the same settings no longer give the same training.
TRAINING_VERSION = 3


@dataclass(frozen=True)
class Run:
    """A training that `fit` brought to its end."""

    # A row an epoch: epoch (from 1), accuracy, loss, val_accuracy, val_loss, seconds.
    history: pd.DataFrame
    key: str  # of all that decided the outcome
    taken: bool  # whether it is an earlier run's, read from its files


@keras.saving.register_keras_serializable("lib")
class Adam(keras.optimizers.Adam):
    """Keras' Adam, with the update of a variable in one kernel of TensorFlow.

    Its variables and numbers are the same, but for rounding; memory is gone through once, not seven
    times, which counts where a model has millions of weights and a CPU few cores.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Move one variable, as Keras' base class asks for it."""
        if keras.backend.backend() != "tensorflow" or self.amsgrad:
            return super().update_step(gradient, variable, learning_rate)
        import tensorflow as tf

        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, tf.float32)
        return tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.convert_to_tensor(gradient),
        )


def fit(model, train, validation, ws, name, epochs, settings, class_weight=None, whole=None) -> Run:
    """Train a compiled model, going on from its last kept epoch when a run was cut short.

    A run goes on, and a finished one is taken from its files, only if nothing that decides the
    outcome is other: batches, names of classes, layers, starting weights, optimizer, loss, epochs,
    class weights, settings and this code. Else it starts anew, as it does where the environment
    says TRAIN_ANEW=1.

    Args:
        model: compiled keras.Model.
        train, validation: `Batches`.
        ws, name: the workspace, and the name of the model in it.
        epochs: int, passes over the training part.
        settings: what else decides the outcome, as text or numbers.
        class_weight: {position of the class: weight in the loss}, or None.
        whole: the model that is saved, where `model` is made of some of its layers.

    A FloatingPointError where the loss is no number; an OSError where checkpoints and model would
    find no room.
    """
    how = configs.describe_training(model)
    parts = [TRAINING_VERSION, identify_set(ws), model, how, epochs, settings, class_weight]
    key = configs.make_key(*parts, *train.describe(), *validation.describe())
    path = ws.file("checkpoints", f"{name}-{key[:16]}.npz")
    # Where there is one, the same training was begun anew, and goes on.
    if not path.exists() and (run := _take_finished(whole or model, ws, name, key)):
        return run
    log = EpochLog(path, epochs, train, name)
    _train(model, train, validation, log, class_weight)
    history = pd.DataFrame(log.rows, columns=HISTORY_COLUMNS).astype({"epoch": int})
    return Run(history, key, taken=False)


def _train(model, train, validation, log, class_weight) -> None:
    log.set_model(model)
    if environ.get("TRAIN_ANEW"):
        log.path.unlink(missing_ok=True)
    log.restore()
    # The batches shuffle themselves: the order must depend on seed and epoch alone.
    model.fit(
        generators.stream(train),
        validation_data=generators.stream(validation),
        epochs=log.epochs,
        initial_epoch=len(log.rows),
        shuffle=False,
        verbose=0,
        class_weight=class_weight,
        callbacks=[log],
    )


def _take_finished(model, ws, name: str, key: str) -> Run | None:
    metadata = saved.read_metadata(ws, name)
    if environ.get("TRAIN_ANEW") or metadata.get("key") != key:
        return None
    try:
        loaded = saved.load_model(ws, name)
        # 04 trains the head alone and saves it with its backbone.
        loaded = loaded if loaded.name == model.name else loaded.get_layer(model.name)
        # Read as text, since a CSV reader may round.
        history = read_table(ws.results / f"history/{name}.csv").replace("", "nan").astype(float)
    except (OSError, ValueError) as error:
        print(f"{name} is trained anew: {error}")
        return None
    model.set_weights(loaded.get_weights())
    print(
        f"{name}: taken from the training of {metadata.get('date', 'an earlier day')}; --anew trains again"
    )
    return Run(history.astype({"epoch": int}), key, taken=True)
