"""Charts put numbers where they belong, at any scale."""

import re
from xml.etree import ElementTree

import pytest

from mlops_assets.pages import Axis, Line, Mark, chart, picture, spread
from mlops_assets_tests._page import assert_whole


def test_points_lie_where_their_numbers_say():
    """The lowest at the lower edge, the highest at the upper, one half way in the middle."""
    drawn = chart([Line(name="", x=[0, 1, 2], y=[0, 5, 10])], x=Axis(title="x"), y=Axis(title="y"), said="a line")

    [points] = re.findall(r'<polyline class="first" points="([^"]+)"', drawn)
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in points.split())
    assert (x1, y1) == pytest.approx(((x0 + x2) / 2, (y0 + y2) / 2), abs=0.1)
    assert y2 < y1 < y0


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([0, 10], ["0", "2.5", "5", "7.5", "10"]),
        ([-4211, 2417], ["-6,000", "-4,000", "-2,000", "0", "2,000", "4,000"]),
        ([0.0113, 0.0119], ["0.0112", "0.0114", "0.0116", "0.0118", "0.012"]),
        ([3, 3], ["1", "2", "3", "4", "5"]),
    ],
)
def test_an_axis_is_written_in_round_numbers(values, written):
    """As people count, whatever the scale; a line that does not move has an axis too."""
    drawn = chart([Line(name="", x=[0, 1], y=values)], x=Axis(title="x"), y=Axis(title="y"), said="a line")

    assert re.findall(r'text-anchor="end">([^<]+)<', drawn) == written


def test_words_from_data_stay_words():
    """Whatever a name holds, it is text."""
    drawn = chart(
        [Line(name="<b>", x=[0, 1], y=[0, 1])],
        x=Axis(title="a & b"),
        y=Axis(title="<i>"),
        mark=Mark(0.5, "<u>"),
        said='"<s>"',
    )

    assert_whole(drawn)
    assert not {"<b>", "<i>", "<u>", "<s>"} & set(re.findall(r"<\w+>", drawn))


def test_a_picture_is_a_file_of_its_own():
    """It carries its look and its size; MLflow draws one without a size as nothing at all."""
    drawn = chart([Line(name="a", x=[0, 1], y=[0, 1])], x=Axis(title="x"), y=Axis(title="y"), said="a line")

    file = picture(drawn).decode()

    assert file.startswith('<svg width="690" height="450" xmlns=')
    assert file.endswith("</svg>")
    assert "<style>" in file
    ElementTree.fromstring(file)


def test_an_interval_is_drawn_between_the_ends_of_all():
    """In per cent of the cell, so that lines below each other can be compared."""
    drawn = spread(0.5, 0.25, 1.0, ends=(0.0, 1.0), tone="first", zero=0.0)

    assert 'zero style="left:0.0%"' in drawn
    assert 'reach style="left:25.0%;width:75.0%"' in drawn
    assert 'at style="left:50.0%"' in drawn
