"""Pictures that explain a convolution: an interactive page, figures and films of your own arrays.

>>> import npconv
>>> html = npconv.explain.page(padding=1, stride=2)
>>> html.count("<script")
2
>>> npconv.explain.figure.__name__
'figure'
"""

from npconv.explain.figures import animation, figure
from npconv.explain.pages import page, write_page

__all__ = ["animation", "figure", "page", "write_page"]
