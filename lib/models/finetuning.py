"""Fine-tuning: from which model, and with what learning rates."""

import contextlib
from dataclasses import replace

import keras
import pandas as pd

from lib.data import generators
from lib.models import saved, stages, training
from lib.storage import read_table

# By how much a stage learns slower than the one above it (Howard and Ruder 2018).
SLOWER = 2.6


@keras.saving.register_keras_serializable("lib")
class LayerwiseAdam(training.Adam):
    """Adam whose learning rate is another for each variable (Howard and Ruder 2018).

    Args:
        rates: what the learning rate is multiplied by, one a variable, in the order of the model's
            `trainable_variables`.
    """

    def __init__(self, *args, rates=(), **options):
        super().__init__(*args, **options)
        self.rates = list(rates)

    def update_step(self, gradient, variable, learning_rate):
        """Move one variable at its own rate."""
        rate = self.rates[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * rate)

    def get_config(self):
        """Return what makes the optimizer again."""
        return super().get_config() | {"rates": self.rates}


def find_transfer(ws, name: str = "") -> str:
    """Return the name of the transfer model asked for, else that of the contest's winner.

    Where there was no contest, it is what 04 wrote last, else 05. A FileNotFoundError where there
    is no such model of the current split.
    """
    kinds, models = ("resnet50_transfer", "backbones"), []
    # Its error names notebooks whose models have no backbone.
    with contextlib.suppress(FileNotFoundError):
        models = [metadata for metadata in saved.list_models(ws) if "@" not in metadata["name"]]
    # Numbers of notebooks change.
    topics = {metadata["name"]: metadata["notebook"].partition("_")[2] for metadata in models}
    known = {name: topic for name, topic in topics.items() if topic in kinds}

    def rank(one):
        return known[one] == kinds[0], (ws.results / f"models/{one}.keras").stat().st_mtime

    wanted = [name] if name else sorted(known, key=rank, reverse=True)
    if not name and (path := ws.results / "contest.csv").exists():
        contest = read_table(path)
        winners = contest.candidate[contest.chosen.str.lower() == "true"] + "_linear"
        wanted = [*winners, *wanted]
    for one in wanted:
        if one in known:
            return one
    subject = f"MODEL: {name} is" if name else "There is"
    raise FileNotFoundError(
        f"{subject} no transfer model of the current split in {ws.results / 'models'}. There are: "
        f"{', '.join(known) or 'none'}. Run 05_backbones or 04_resnet50_transfer, which write them."
    )


def compile_slower_below(top, model, count: int, learning_rate: float, steps: int, epochs: int):
    """Compile what is to be trained of a model: with Adam, each stage slower than what is above it.

    The learning rate rises over the first epoch, then falls along half a cosine (Loshchilov and
    Hutter 2017) to 0 after `epochs`.

    Args:
        top: what is trained; shares the layers of `model`.
        model: the whole.
        count: how many stages of its backbone learn.
        learning_rate: of the head, at its highest.
        steps: batches an epoch.
        epochs: the most that may be trained.
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(steps * (epochs - 1), 1), warmup_target=learning_rate, warmup_steps=steps
    )
    rates = {}
    for place, stage in enumerate(reversed(stages.find_stages(model)[-count:]), start=1):
        rates |= {id(weight): SLOWER**-place for weight in stage.weights}
    rates = [rates.get(id(variable), 1.0) for variable in top.trainable_variables]
    adam = LayerwiseAdam(schedule, rates=rates)
    if "float16" in keras.tree.flatten([layer.compute_dtype for layer in top._flatten_layers()]):
        adam = keras.optimizers.LossScaleOptimizer(adam)
    top.compile(adam, "categorical_crossentropy", metrics=["accuracy"])


def fit_chosen(top, model, train, validation, *arguments):
    """Fit as `training.fit` does; of no epochs the history has a row 0, the start's.

    `model` is the whole that `top` shares its layers with, `arguments` are the further ones.
    """
    run = training.fit(top, train, validation, *arguments, whole=model)
    if len(run.history):
        return run
    row = [0]
    for batches in (train, validation):
        scores = top.evaluate(generators.stream(batches), return_dict=True, verbose=0)
        row += [scores["accuracy"], scores["loss"]]
    history = pd.DataFrame([[*row, 0.0]], columns=training.HISTORY_COLUMNS)
    return replace(run, history=history)
