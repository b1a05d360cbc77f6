"""Figures for papers and notebooks: a convolution's arrays, drawn with the numbers npconv gives."""

from npconv.explain.figures.calls import SHOWS, animation, figure

__all__ = ["SHOWS", "animation", "figure"]
