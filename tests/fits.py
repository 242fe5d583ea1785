"""A decay, and fits whose warnings are not what is looked at."""

import warnings

import jax.numpy as jnp

import jaxlgks as lgks


def decay(p, x):
    """a e^{−kt}, one number."""
    return p["a"] * jnp.exp(-p["k"] * x["t"])


def named_decay(p, x):
    """The same as observable "y"."""
    return {"y": decay(p, x)}


def line(p, x):
    """a + b x, one number."""
    return p["a"] + p["b"] * x["x"]


def quiet(*arguments, **options) -> lgks.Fit:
    """`fit` without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lgks.FitWarning)
        return lgks.fit(*arguments, **options)
