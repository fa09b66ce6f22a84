"""What an operator may set on the endpoint process."""

from dataclasses import dataclass
from typing import Literal

LogMode = Literal["strict", "best_effort"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """How the endpoint answers, logs and watches.

    `log_mode` says what happens when a prediction cannot be logged: `strict` refuses it with 503, `best_effort` answers
    it with `"durable": false`. Requests of up to `inline_rows` rows are computed on the event loop (about 20 us a row),
    longer ones in a thread, so that they do not hold up others.
    """

    log_mode: LogMode = "strict"
    fsync_interval_s: float = 1.0
    poll_s: float = 0.2
    retry_s: float = 5.0
    max_body_bytes: int = 4 * 2**20
    max_instances: int = 5_000
    inline_rows: int = 32
