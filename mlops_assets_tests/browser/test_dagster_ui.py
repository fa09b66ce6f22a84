"""What a user sees: the lineage, a run launched from the page, what an asset tells. With real servers and Chromium.

Pictures for the README are taken from a home in which a replay has been played:

    MLOPS_SCREENSHOTS=docs/images MLOPS_SCREENSHOTS_HOME=.mlops python -m pytest -m browser -k pictures
"""

import os
import re
import time
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from mlops_assets.stores.home import Home
from mlops_assets_tests._browser import SIZE, Dagster

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

GROUP = "/locations/mlops_assets/asset-groups/flight_delay/lineage"
LIFE = (
    *("training_set", "model", "evaluation", "dossier", "approval", "endpoint"),
    *("predictions", "drift", "performance"),
)
VIEWS = ("aircraft", "carrier_delays", "dest_delays", "origin_delays", "weather")
UPSTREAM = '+group:"flight_delay"'
OPEN_GROUPS = "global@global:flights,global@global:flight_delay"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

RUN = "query ($id: ID!) {runOrError(runId: $id) {... on Run {status}}}"
ASSET = """
query ($key: AssetKeyInput!) {
  assetOrError(assetKey: $key) {
    ... on Asset {assetMaterializations(limit: 1) {runId metadataEntries {label ... on IntMetadataEntry {intValue}}}}
  }
}
"""


@pytest.fixture(scope="module")
def dagster(open_dagster) -> Dagster:
    """Dagster over an empty home."""
    return open_dagster(None)


@pytest.fixture(autouse=True)
def nothing_goes_wrong_or_out(request):
    """Whatever is visited: no error in the console, and no request to any other machine."""
    yield
    if "dagster" in request.fixturenames:
        visited = request.getfixturevalue("dagster")
        assert visited.errors == []
        assert visited.outside == []


@pytest.fixture(scope="module")
def launched(dagster) -> str:
    """The id of a run of raw/planes that was launched by a click on the asset's page, and has ended."""
    page = dagster.visit("/assets/raw/planes")
    page.get_by_role("button", name="Materialize").first.click()
    expect(page.get_by_text(re.compile("Launched run"))).to_be_visible()
    page.get_by_text("View", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    run = page.url.rpartition("/")[2]
    deadline = time.monotonic() + 300
    while dagster.ask(RUN, id=run)["runOrError"]["status"] not in ENDED and time.monotonic() < deadline:
        time.sleep(1)
    return run


def test_the_lineage_of_the_model_is_there(dagster):
    """From the feature views it reads to the performance of what it predicted."""
    page = dagster.visit(GROUP)

    for name in (*VIEWS, *LIFE):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()


def test_a_run_launched_from_the_page_succeeds(dagster, launched):
    """By what Dagster says of the run, and by the table that is there afterwards."""
    run = dagster.ask(RUN, id=launched)["runOrError"]
    (made,) = dagster.ask(ASSET, key={"path": ["raw", "planes"]})["assetOrError"]["assetMaterializations"]

    rows = {entry["label"]: entry.get("intValue") for entry in made["metadataEntries"]}["rows"]
    assert run["status"] == "SUCCESS"
    assert made["runId"] == launched
    assert rows == dagster.home.tables.read("raw/planes").num_rows > 3000


def test_the_asset_page_shows_what_was_written(dagster, launched):
    """Rows, digest and columns, as they are in the store, and the checks that passed."""
    page = dagster.visit("/assets/raw/planes?view=overview")
    stored = dagster.home.tables.version("raw/planes")

    for shown in ("rows", str(stored.rows), "sha256", stored.sha256, "tailnum", "The aircraft register."):
        expect(page.get_by_text(shown, exact=True).first).to_be_visible()
    dagster.visit("/assets/raw/planes?view=checks")
    for check in ("arrived", "structure"):
        expect(page.get_by_text(check, exact=True).first).to_be_visible()
    expect(page.get_by_text("Passed").first).to_be_visible()


def test_sensors_and_schedule_are_running(dagster):
    """Without anybody having turned them on."""
    page = dagster.visit("/automation")

    for name in ("retrain", "watch", "freshness", "refresh", "refresh_whole", "reproduce"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    states = dagster.ask(
        "{workspaceOrError {... on Workspace {locationEntries {locationOrLoadError {... on RepositoryLocation {"
        "repositories {sensors {name sensorState {status}} schedules {name scheduleState {status}}}}}}}}}"
    )["workspaceOrError"]["locationEntries"][0]["locationOrLoadError"]["repositories"][0]
    running = {each["name"]: each["sensorState"]["status"] for each in states["sensors"]}
    running |= {each["name"]: each["scheduleState"]["status"] for each in states["schedules"]}
    assert running == dict.fromkeys(
        ["retrain", "watch", "freshness", "refresh", "refresh_whole", "reproduce"], "RUNNING"
    )


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.skipif("MLOPS_SCREENSHOTS" not in os.environ, reason="takes pictures only when told where to put them")
def test_pictures_for_the_readme(open_dagster):
    """Three pages of a home with a life behind it."""
    folder = Path(os.environ["MLOPS_SCREENSHOTS"])
    prepared = Path(os.environ["MLOPS_SCREENSHOTS_HOME"])
    folder.mkdir(parents=True, exist_ok=True)
    dagster = open_dagster(prepared)
    context = dagster.page.context.browser.new_context(viewport=SIZE, device_scale_factor=1.5)
    context.add_init_script("localStorage.setItem('dagster-nav-collapsed', 'true')")
    dagster.page = context.new_page()
    dagster.page.set_default_timeout(120_000)

    page = dagster.visit(f"/asset-groups~{quote(UPSTREAM, safe='')}/?expanded={quote(OPEN_GROUPS)}")
    page.locator("button:has([aria-label=panel_show_right])").click()
    expect(page.get_by_text("performance", exact=True).first).to_be_visible()
    page.mouse.dblclick(SIZE["width"] / 2, SIZE["height"] - 70)  # on nothing: fits the graph into the view
    keep(page, folder / "lineage.png")

    page = dagster.visit("/assets/flight_delay/evaluation?view=overview")
    page.get_by_text("Plots", exact=True).click()
    expect(page.get_by_text("champion auc", exact=True)).to_be_visible()
    keep(page, folder / "model.png")

    page = dagster.visit("/assets/flight_delay/evaluation?view=checks&checkDetail=promotion_gate")
    expect(page.get_by_text("Latest execution")).to_be_visible()
    page.get_by_text("Execution history", exact=True).click()
    expect(page.get_by_text("Refused:").first).to_be_visible()
    keep(page, folder / "gate.png")

    assert all(file.stat().st_size < 400_000 for file in folder.glob("*.png"))
    assert Home(prepared).releases.current("flight_delay") is not None


def keep(page: Page, file: Path) -> None:
    """Write what is shown in 256 colours: a third of the size, and no difference to the eye."""
    from PIL import Image

    page.wait_for_timeout(4000)  # for statuses and plots that come in one by one
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, optimize=True)
