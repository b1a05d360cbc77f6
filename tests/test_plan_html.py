"""A plan in a notebook: the printed table's rows, as HTML."""

from dataclasses import replace
from html.parser import HTMLParser

import npconv


class Cells(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.rows, self.styles, self.tags, self.inside = [], [], set(), False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
            self.styles.append(dict(attrs).get("style", ""))
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def test_the_rows_are_the_printed_ones():
    plan = npconv.plan((1, 3, 8, 8), (4, 3, 3, 3), padding=1)
    shown = Cells(plan._repr_html_())
    printed = str(plan).splitlines()[1:]
    assert ["".join(row).replace("→", "->").replace(" ", "") for row in shown.rows] == [
        line.replace(" ", "") for line in printed
    ]
    (chosen,) = [i for i, style in enumerate(shown.styles) if "background" in style]
    assert shown.rows[chosen][1] == plan.algorithm
    assert shown.rows[chosen][0] == "→"
    assert shown.tags == {"table", "caption", "thead", "tbody", "tr", "th", "td"}


def test_text_is_escaped():
    plan = npconv.plan((1, 3, 8, 8), (4, 3, 3, 3))
    bad = "<script>alert('&')</script>"
    rows = (plan.rows[0]._replace(why_not=bad), *plan.rows[1:])
    text = replace(plan, rows=rows)._repr_html_()
    assert "<script" not in text
    assert Cells(text).rows[1][4] == bad
