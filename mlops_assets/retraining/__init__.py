"""When to retrain: what calls for it, what holds it back, and why, for every yes and every no.

Pure rules over reports and earlier decisions; `now` is an argument, in the time the reports are in.
"""

from mlops_assets.retraining.policy import NO_TRIGGER, decide
from mlops_assets.retraining.situation import BusinessEvent
from mlops_assets.retraining.terms import RetrainingPolicy

__all__ = ["NO_TRIGGER", "BusinessEvent", "RetrainingPolicy", "decide"]
