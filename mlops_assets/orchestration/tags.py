"""The tags of runs: what a run is for, who asked for it and why, and which time it takes for now."""

MODEL_TAG = "mlops/model"
PURPOSE_TAG = "mlops/purpose"  # release, watch, refresh or refresh_whole
AS_OF_TAG = "mlops/as_of"  # the time a run sees; it keeps it when it is tried again
TRIGGER_TAG = "mlops/trigger"  # what called for this release; absent where a person started the run
BY_PEOPLE = "request"  # the trigger of what people ask for
REQUESTER_TAG = "mlops/requested_by"  # who asked for this release: a person, or the sensor
REASON_TAG = "mlops/reason"
ANSWERS_TAG = "mlops/answers"  # digest of the evidence a release answers, once
PROCESS_TAG = "mlops/process"  # the process that a run is part of, where it has no worker of its own

# Dagster's own.
PARTITION_TAG = "dagster/partition"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
MAX_RETRIES = "dagster/max_retries"
