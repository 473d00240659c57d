"""Several labels a picture: one logistic regression for each, all fitted at once; their answers."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import entr, expit, logit
from threadpoolctl import threadpool_limits

from lib.data.listing import escape
from lib.data.split import deal_folds
from lib.models import classify, linear


def _learn_labels(features, y_true, C) -> linear.Classifier:
    rows = features.copy()
    mean, units = linear.centre(rows)
    rows *= units
    share = y_true.mean(axis=0).clip(1e-6, 1 - 1e-6)
    # No weight of one label has a say in another, so the sum of all losses is least where each is. Each
    # counts in parts of what it is where of the label is known alone how common it is.
    parts = 1 / (len(rows) * (entr(share) + entr(1 - share)))

    def find_slope(flat):
        theta = flat.reshape(-1, len(share)).astype(np.float32)
        logits, pull = rows @ theta[:-1] + theta[-1], theta[:-1] / C
        miss, loss = expit(logits) - y_true, np.logaddexp(0, logits) - y_true * logits
        loss = loss.sum(axis=0) + (pull * theta[:-1]).sum(axis=0) / 2
        slope = np.vstack([rows.T @ miss + pull, miss.sum(axis=0)]) * parts
        return (loss * parts).sum(dtype=float), slope.ravel().astype(float)

    start = np.vstack([np.zeros((rows.shape[1], len(share))), logit(share)]).ravel()
    how = {"maxiter": linear.STEPS, "gtol": 1e-4, "ftol": 1e-6}
    found = minimize(find_slope, start, jac=True, method="L-BFGS-B", options=how)
    *weights, bias = found.x.reshape(-1, len(share)).astype(np.float32)
    return linear.Classifier(mean, units, np.array(weights), bias, C, activation="sigmoid")


# Threads of BLAS wait for one another where cores are busy.
@threadpool_limits.wrap(limits=1, user_api="blas")
def fit_labels(features, y_true, groups, seed: int) -> tuple:
    """Fit a logistic regression a label, each with the C under which held-out rows surprise least.

    Of float32 (n, d), bool (n, labels), and groups, int (n,), that folds don't divide, returns a
    `linear.Classifier`, and answers to each row by one that saw neither it nor its group, float32
    (n, labels).
    """
    features, y_true = np.asarray(features[:], np.float32), np.asarray(y_true, np.float32)
    # Folds keep the rarest label of each picture in proportion.
    order = y_true.sum(axis=0).argsort(kind="stable")
    rarest = np.where(y_true.any(axis=1), y_true[:, order].argmax(axis=1), len(order))
    part = deal_folds(rarest, groups, linear.PARTS, seed)
    strengths = np.array(linear.STRENGTHS, np.float32) / features.shape[1]
    y_prob = np.zeros((len(strengths), *y_true.shape), np.float32)
    for held in (part == number for number in range(linear.PARTS)):
        for answers, C in zip(y_prob, strengths):
            classifier = _learn_labels(features[~held], y_true[~held], C)
            answers[held] = classifier.answer(features[held])
    best = np.log(np.where(y_true, y_prob, 1 - y_prob).clip(1e-7)).mean(axis=1).argmax(axis=0)
    held_out = np.take_along_axis(y_prob, best[np.newaxis, np.newaxis], axis=0)[0]
    return _learn_labels(features, y_true, strengths[best]), held_out


def list_labels(model, metadata: dict, files, probabilities=False) -> pd.DataFrame:
    """Ask about files: a row each, of file, labels ("cat|dog"), problem, and if wanted a column a label."""
    y_prob, _, problems = classify.answer_files(model, Path(), files)
    names, usable = np.array(metadata["class_names"]), problems == ""
    limits = [metadata["thresholds"][name] for name in names]
    labels = np.where(usable, ["|".join(names[has]) for has in y_prob >= limits], "")
    table = {"file": [escape(str(file)) for file in files], "labels": labels, "problem": problems}
    for name, column in zip(names if probabilities else (), y_prob.T.round(6)):
        table[f"{name} (class)" if name in table else name] = np.where(usable, column, np.nan)
    return pd.DataFrame(table)
