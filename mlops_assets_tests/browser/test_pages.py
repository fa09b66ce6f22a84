"""The evaluation report on a phone, a tablet and a screen."""

import pytest

from mlops_assets.governance import render_report
from mlops_assets_tests.governance.test_report_page import judged

WIDER = "[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth)"
HEADS = f"{WIDER}.map(box => box.querySelector('th').textContent)"
SLIDES = f"{WIDER}.every(box => (box.scrollLeft = 1000, box.scrollLeft > 0))"


@pytest.mark.parametrize(("width", "sliding"), [(390, ["against"]), (800, []), (1280, [])])
def test_no_table_is_cut_off(browser, tmp_path, width, sliding):
    """Measures beside both rivals fit a phone; what is wider slides in its own box, and the page never does."""
    file = tmp_path / "report.html"
    file.write_text(render_report(judged()))
    page = browser.new_page(viewport={"width": width, "height": 900})

    page.goto(file.as_uri())

    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(HEADS) == sliding
    assert page.evaluate(SLIDES)
