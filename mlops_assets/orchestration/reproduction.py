"""What is live, fitted again once a week: the asset that does it, and the schedule over all models."""

import os
from collections.abc import Mapping

import dagster as dg

from mlops_assets.digests import sha256_json
from mlops_assets.orchestration import steps
from mlops_assets.orchestration.metadata import bullet_list, clean
from mlops_assets.orchestration.model_asset import asset_of, key_of
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.record_io import record_type
from mlops_assets.orchestration.resources import HomeResource, as_of, now
from mlops_assets.orchestration.tags import AS_OF_TAG
from mlops_assets.records import Reproduction

REPRODUCTION = "reproduction"


def reproduction_asset(folder: ModelFolder) -> dg.AssetsDefinition:
    """Build the asset that fits what is live again from its record; nothing waits for it, and nothing comes live."""
    key = key_of(folder, REPRODUCTION)

    @dg.asset(
        dagster_type=record_type(Reproduction),
        **asset_of(folder, REPRODUCTION),
        deps=[key_of(folder, "endpoint")],
        description="What is live, joined and fitted again from its record, and compared to the last byte.",
        kinds={"python"},
        check_specs=[dg.AssetCheckSpec("equal", asset=key, description="The bundle on record comes out again.")],
        pool="training",
    )
    def reproduction(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
        stores = home.open()
        outcome = steps.reproduce(folder.path, stores, threads=[1], at=as_of(context, stores), by=steps.PIPELINE)
        told = [*outcome.causes, *outcome.notes, *outcome.elsewhere]
        return dg.MaterializeResult(
            value=outcome,
            data_version=dg.DataVersion(sha256_json([outcome.sha256, outcome.level, outcome.causes])),
            metadata={
                **clean({"version": outcome.version, "level": outcome.level, "bundle sha256": outcome.sha256}),
                **({"told": bullet_list(told)} if told else {}),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="equal",
                    passed=outcome.equal,
                    description=" ".join(outcome.causes) or f"version {outcome.version}: {outcome.level}",
                )
            ],
        )

    return reproduction


def reproduce_schedule(models: Mapping[str, ModelFolder], *, job_name: str) -> dg.ScheduleDefinition:
    """Build the schedule over all models; `MLOPS_REPRODUCE_CRON` moves it (default: Mondays, 04:41).

    A replay plays weeks in minutes, and a fit of each of them shows nothing new: so the wall clock counts here.
    """

    @dg.schedule(
        name="reproduce",
        job_name=job_name,
        cron_schedule=os.environ.get("MLOPS_REPRODUCE_CRON", "41 4 * * 1"),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Fits what is live again from its record, unless `training: {reproduce: never}` is declared.",
    )
    def reproduce(context: dg.ScheduleEvaluationContext, home: HomeResource) -> list[dg.RunRequest] | dg.SkipReason:
        stores = home.open()
        wanted = [name for name, folder in models.items() if folder.declaration.training.reproduce == "weekly"]
        if not (live := [name for name in wanted if stores.releases.current(name)]):
            return dg.SkipReason("no model is live that is to be reproduced")
        return [
            dg.RunRequest(
                run_key=f"reproduce:{name}@{context.scheduled_execution_time:%Y-%m-%d %H:%M}",
                asset_selection=[dg.AssetKey([name, REPRODUCTION])],
                tags={AS_OF_TAG: now(stores).isoformat()},
            )
            for name in live
        ]

    return reproduce
