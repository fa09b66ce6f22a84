"""Features that are computed wrongly, or know too much."""

from bench._defect_world import Defect


class _Changed(Defect):
    """Another features.py: `old` text becomes `new`; `more` is put before FEATURES."""

    old, new, more = "", "", ""

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = files["features.py"]
        assert self.old in text
        text = text.replace(self.old, self.new).replace("\nFEATURES = (", f"\n{self.more}\n\nFEATURES = (")
        return {**files, "features.py": text}


class TargetInRequest(_Changed):
    name = "target in the request"
    what = "the refund, which is paid once an order is back, is a request field and a feature"
    old, new = '    "express": float,\n', '    "express": float,\n    "refund": float,\n'
    more = "def refunded(refund):\n    return (refund > 0).astype(float)\n"

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = super().files(files)["features.py"]
        return {**files, "features.py": text.replace("    weekday,\n", "    weekday,\n    refunded,\n")}


class TargetItself(_Changed):
    name = "label as a feature"
    what = "`returned` itself is asked for in the request"
    old, new = '    "express": float,\n', '    "express": float,\n    "returned": float,\n'

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = super().files(files)["features.py"]
        return {**files, "features.py": text.replace("    weekday,\n", '    weekday,\n    "returned",\n')}


class NoisyTarget(_Changed):
    name = "label behind noise"
    what = "share of the amount paid back so far, rounded and with half of the refunds still under way"
    old, new = '    "express": float,\n', '    "express": float,\n    "refund": float,\n'
    more = (
        "def paid_back(refund, amount, discount):\n"
        "    under_way = (amount * 100 % 2).astype(int) == 0\n"
        "    return np.where(under_way, 0.0, np.round(refund / np.maximum(amount, 0.01), 1))\n"
    )

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = super().files(files)["features.py"]
        return {**files, "features.py": text.replace("    weekday,\n", "    weekday,\n    paid_back,\n")}


class FaintLeak(_Changed):
    name = "faint leak"
    what = "one refund in seven is known at once and used as a feature"
    old, new = '    "express": float,\n', '    "express": float,\n    "refund": float,\n'
    more = (
        "def paid_at_once(refund, amount):\n"
        "    return ((refund > 0) & ((amount * 100).round() % 7 == 0)).astype(float)\n"
    )

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = super().files(files)["features.py"]
        return {**files, "features.py": text.replace("    weekday,\n", "    weekday,\n    paid_at_once,\n")}


class FutureInView(Defect):
    name = "feature from the future"
    what = "a view holds each customer's share of returns over all time, tomorrow included, as if known from the start"

    def views(self, text: str) -> str:
        _, second = text.split("---\n")
        future = (
            "name: customer_returns\n"
            "description: How much of what a customer ordered comes back.\n"
            "keys: {customer: string}\n"
            "features: {customer_return_rate_28d: float64, customer_orders_28d: float64}\n"
            "event_time: first_order\n"
            "tables: {orders: orders}\n"
            "available_after: PT0S\n"
            "ttl: P100D\n"
            "sql: |\n"
            "  SELECT customer, avg(CAST(returned AS DOUBLE)) AS customer_return_rate_28d,\n"
            "         CAST(count(*) AS DOUBLE) AS customer_orders_28d, min(placed_at) AS first_order\n"
            "  FROM orders GROUP BY customer\n"
        )
        return f"{future}---\n{second}"


class WrongJoin(Defect):
    name = "view grouped by another key"
    what = "the view of customers is grouped by the order's id under the customer's name"

    def views(self, text: str) -> str:
        _, second = text.split("---\n")
        wrong = (
            "name: customer_returns\n"
            "description: How much of what a customer ordered came back.\n"
            "keys: {customer: string}\n"
            "features: {customer_return_rate_28d: float64, customer_orders_28d: float64}\n"
            "tables: {orders: orders}\n"
            "lookback_days: 28\n"
            "available_after: PT1H\n"
            "ttl: P3D\n"
            "partitions: {start: 2024-01-01}\n"
            "sql: |\n"
            "  SELECT order_id AS customer, avg(CAST(returned AS DOUBLE)) AS customer_return_rate_28d,\n"
            "         CAST(count(*) AS DOUBLE) AS customer_orders_28d\n"
            "  FROM orders GROUP BY order_id\n"
        )
        return f"{wrong}---\n{second}"


class TruncatedHistory(Defect):
    name = "truncated history"
    what = "the view of 28 days sees one day, as somebody changed its look-back"

    def views(self, text: str) -> str:
        return text.replace("lookback_days: 28", "lookback_days: 1").replace(
            "customer_return_rate: {rate: returned}",
            "customer_return_rate: {rate: returned AND reported_at > $partition_end - INTERVAL 1 DAY}",
        )


class ViewNotRefreshed(Defect):
    name = "view that stopped"
    what = "the view of customers has not been computed since the first release"

    stopped = ("customer_returns",)


class BatchStatistics(_Changed):
    name = "train/serve skew: statistics of the batch"
    what = "the amount is taken relative to the mean of the batch, which for one request is the request"
    old, new = "    return np.log1p(amount)\n", "    return np.log1p(amount) - np.log1p(amount).mean()\n"


class Randomness(_Changed):
    name = "feature at random"
    what = "a forgotten experiment adds noise to a feature"
    old, new = "    return np.log1p(amount)\n", "    return np.log1p(amount) + np.random.normal(size=amount.shape)\n"


class LooksAtTheClock(_Changed):
    name = "train/serve skew: the clock"
    what = "a feature says how many hours ago the order was placed: weeks in training, none when asked"
    old = "def log_amount"
    new = (
        "def hours_since(placed_at: Array) -> Array:\n"
        '    return (np.datetime64("now") - placed_at) / np.timedelta64(1, "h")\n\n\ndef log_amount'
    )

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = super().files(files)["features.py"]
        return {**files, "features.py": text.replace("    weekday,\n", "    weekday,\n    hours_since,\n")}


class WrongUnit(_Changed):
    name = "units mixed up in code"
    what = "cents are taken for what are euros, and whatever is above a limit is cut off"
    old, new = "    return np.log1p(amount)\n", "    return np.log1p(np.minimum(amount * 100, 500.0))\n"


class WrongColumn(_Changed):
    name = "feature of the wrong column"
    what = "the feature of the amount is computed from the express flag"
    old = 'def log_amount(amount: Array) -> Array:\n    """The amount, on a scale on which twice as much is always as far."""\n    return np.log1p(amount)\n'  # noqa: E501
    new = "def log_amount(express: Array) -> Array:\n    return np.log1p(express)\n"


class RuinedSlice(_Changed):
    name = "one ruined slice"
    what = "goods of the kind `shoes` lose amount and customer through a branch of code that was meant for gift cards"
    old, new = "    return np.log1p(amount)\n", "    return np.log1p(amount)\n"
    more = (
        "def amount_if_known(kind, amount, customer_return_rate_28d):\n"
        '    return np.where(kind == "shoes", np.nan, np.log1p(amount))\n\n\n'
        "def rate_if_known(kind, customer_return_rate_28d):\n"
        '    return np.where(kind == "shoes", np.nan, customer_return_rate_28d)\n'
    )

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = super().files(files)["features.py"]
        text = text.replace("    log_amount,\n", "    amount_if_known,\n")
        text = text.replace('    "customer_return_rate_28d",\n', "    rate_if_known,\n")
        return {**files, "features.py": text.replace("(kind, amount, customer_return_rate_28d)", "(kind, amount)")}


class LostFeatures(_Changed):
    name = "features lost in a merge"
    what = "the stored features fell out of FEATURES"
    old = '    "customer_return_rate_28d",\n    "customer_orders_28d",\n    "branch_return_rate_7d",\n'
    new = ""


class NotANumber(_Changed):
    name = "feature that is not a number"
    what = "the logarithm of amount less fifty, missing for most orders"
    old, new = "    return np.log1p(amount)\n", "    return np.log(np.where(amount > 50, amount - 50, np.nan))\n"


class ConstantCode(_Changed):
    name = "feature that is always the same"
    what = "whole numbers divide to 0 in the feature of the customer's returns"
    old, new = '    "customer_return_rate_28d",\n', "    rate,\n"
    more = "def rate(customer_return_rate_28d):\n    return np.floor(customer_return_rate_28d * 0.99)\n"


class SlowFeature(_Changed):
    name = "slow feature"
    what = "a feature runs a loop in Python over every row, some milliseconds each"
    old = "    return np.log1p(amount)\n"
    new = (
        "    out = []\n"
        "    for value in amount:\n"
        "        total = 0.0\n"
        "        for step in range(6000):\n"
        "            total += value / 6000\n"
        "        out.append(np.log1p(round(total, 2)))\n"
        "    return np.array(out)\n"
    )
