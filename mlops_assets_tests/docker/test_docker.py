"""What can be told about the production set without a container engine; the README beside it has what was tried."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef  # reads dagster.yaml as an instance would, without a database

REPOSITORY = Path(__file__).parents[2]
DOCKER = REPOSITORY / "docker"
BIN = Path(sys.executable).parent
SERVICES = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]


def test_the_dockerfile_passes_hadolint():
    """No rule is broken that is not excused in place."""
    done = subprocess.run([BIN / "hadolint", DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_obeys_the_compose_specification():
    """A misspelt key would be ignored by some engines and refused by others."""
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_can_be_watched_restarted_and_stopped_with_grace(name):
    """Without these a dead server stays down unseen, and a stop kills a training."""
    service = SERVICES[name]

    assert {"healthcheck", "restart", "stop_grace_period"} <= service.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_is_published_beyond_this_host(name):
    """Dagster's and MLflow's servers have no login: whoever reaches them commands them."""
    ports = SERVICES[name].get("ports", [])

    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_waits_for_services_that_exist():
    """And for their health, not only for their start."""
    waits = [wait for service in SERVICES.values() for wait in service.get("depends_on", {}).items()]

    assert waits
    assert all(name in SERVICES and how == {"condition": "service_healthy"} for name, how in waits)


def test_no_password_stands_in_a_command():
    """Commands show in every list of processes."""
    commands = [part for service in SERVICES.values() for part in service.get("command", [])]

    assert not [part for part in commands if "PASSWORD" in part]


def test_the_image_runs_as_nobody_in_particular():
    """The last word on the user is a number that is not root's, so that Kubernetes can verify it."""
    users = [line for line in (DOCKER / "Dockerfile").read_text().splitlines() if line.startswith("USER ")]

    assert users[-1] == "USER 10001:10001"


def test_dagster_accepts_the_production_settings(monkeypatch):
    """Keys, values and the driver that dagster-postgres works with."""
    monkeypatch.setenv("DAGSTER_PG_HOST", "postgres")
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "secret")

    ref = InstanceRef.from_dir(str(DOCKER))

    assert ref.run_storage_data is not None
    assert ref.run_storage_data.class_name == "PostgresRunStorage"
    assert ref.run_storage_data.config_dict["postgres_db"]["scheme"] == "postgresql+psycopg2"


def test_dagster_obeys_the_embedded_settings(tmp_path):
    """Runs are queued and retried, nothing is reported home, nobody is asked for an address."""
    (tmp_path / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text())

    with DagsterInstance.from_config(str(tmp_path)) as instance:
        queue = instance.get_concurrency_config().run_queue_config

        assert (instance.telemetry_enabled, instance.nux_enabled) == (False, False)
        assert (instance.run_retries_enabled, instance.run_monitoring_enabled) == (True, True)
        assert queue is not None
        assert [limit["key"] for limit in queue.tag_concurrency_limits] == ["mlops/model"]


@pytest.mark.parametrize("key", ["run_retries", "sensors", "schedules", "retention", "telemetry", "nux"])
def test_production_and_embedded_settings_agree_where_they_have_no_reason_not_to(key):
    """What was tried on a laptop holds in production."""
    embedded, production = (
        yaml.safe_load(path.read_text()) for path in (REPOSITORY / "dagster.yaml", DOCKER / "dagster.yaml")
    )

    assert production[key] == embedded[key]
