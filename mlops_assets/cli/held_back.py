"""What is held back, as text: which batches, which rows and why, and what people said about it."""

from rich.table import Table

from mlops_assets.cli.printing import console
from mlops_assets.cli.project import Project
from mlops_assets.cli.redriving import batch_of
from mlops_assets.errors import StoreError
from mlops_assets.orchestration.steps.intake.standing import SAID, Key, Standing, standing, subject
from mlops_assets.records import BatchQuality
from mlops_assets.validation.contract import REASON_COLUMN, RULE_COLUMN, VALUE_COLUMN

SHOWN = 50  # rows at most; all of them are in the table quarantine/<table>


def show_list(project: Project, table: str | None) -> None:
    """Print a line per batch that is held or blocked, or has waived rules."""
    lines = Table("table", "day", "rows", "held", "rules", "state", "waived")
    for name in [project.table(table)[1].table] if table else project.tables:
        batches = [project.home.quality.newest(name, key) for key in project.home.quality.partitions(name)]
        in_force = standing(project.home, name, [batch.partition for batch in batches if batch])
        for batch in filter(None, batches):
            waived = in_force[batch.partition].waived
            if batch.quarantined or batch.blocked or waived:
                lines.add_row(
                    name,
                    batch.partition or "",
                    f"{batch.rows:,}",
                    f"{batch.quarantined:,}",
                    _counted(batch) or batch.blocked or "",
                    _state(batch, in_force[batch.partition]),
                    ", ".join(sorted(waived)),
                )
    console().print(lines if lines.row_count else "Nothing is held back.")


def show_batch(project: Project, table: str, day: str | None) -> None:
    """Print the held rows of a batch with rule, value and reason, and the acts of people about it."""
    _, declared, key = batch_of(project, table, day)
    batch = project.home.quality.newest(table, key)
    if batch is None:
        raise StoreError(f"{_name(table, key)} was never judged, so nothing of it is held. Bring it in: mlops refresh.")
    out = console()
    out.print(f"{outcome(project, table, day)}", highlight=False)
    held = f"quarantine/{table}"
    if batch.quarantined and project.home.tables.exists(held):
        names = [*(part for keys in declared.contract.keys for part in keys), RULE_COLUMN, VALUE_COLUMN, REASON_COLUMN]
        rows = project.home.tables.read(held, partitions=[key] if key else None, columns=list(dict.fromkeys(names)))
        lines = Table(*(name.removeprefix("_") for name in rows.column_names))
        for row in rows.slice(0, SHOWN).to_pylist():
            lines.add_row(*(str(value) for value in row.values()))
        out.print(lines)
        if rows.num_rows > SHOWN:
            out.print(f"and {rows.num_rows - SHOWN:,} more in the table {held}")
    unmet = [each for each in batch.expectations if not each.success]
    for each in unmet:
        out.print(f"{each.rule} is {each.observed}, expected {each.expected} ({each.severity})", highlight=False)
    for entry in project.home.state.audit_of_table(table, SAID):
        if entry.subject == subject(table, key):
            what = ", ".join(entry.data.get("rules", [f"{entry.data.get('rows')} rows"]))
            said = f"{entry.at:%Y-%m-%d %H:%M} {entry.event}: {what}, by {entry.actor}: {entry.data['reason']}"
            out.print(said, highlight=False)


def outcome(project: Project, table: str, day: str | None) -> str:
    """Say in a sentence how a batch stands."""
    key = batch_of(project, table, day)[2]
    batch = project.home.quality.newest(table, key)
    if batch is None:
        return f"{_name(table, key)} was not judged."
    if batch.blocked:
        return f"{_name(table, key)} is blocked, nothing of its {batch.rows:,} rows goes on: {batch.blocked}"
    held = f", {batch.quarantined:,} are held: {_counted(batch)}" if batch.quarantined else ""
    return f"{_name(table, key)}: {batch.rows - batch.quarantined:,} of {batch.rows:,} rows went on{held}."


def _state(batch: BatchQuality, said: Standing) -> str:
    if said.waits(batch):
        return "waits for redrive" if said.later else "waits for the next refresh"
    return "blocked" if batch.blocked else "held" if batch.quarantined else "let through"


def _counted(batch: BatchQuality) -> str:
    unmet = {each.rule: "" for each in batch.expectations if each.blocks and each.rule not in batch.waivers}
    counted = {**{rule: f" {count}" for rule, count in batch.rules.items()}, **unmet}
    return ", ".join(f"{rule}{count}" for rule, count in counted.items())


def _name(table: str, key: Key) -> str:
    return f"{table} of {key}" if key else table
