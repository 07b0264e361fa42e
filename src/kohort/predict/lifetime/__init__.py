"""What customers will be worth within a horizon: a probability model and a learned one, the better taken on outcomes unseen.

`fit.fit` does all of it for a `past.Past`; `model.LifetimeModel` is what scores; `held` has the figures both are judged by.
`docs/buying.md` explains it in plain words.
"""
