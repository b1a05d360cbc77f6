"""Wisdom: what was measured once, remembered for every later plan, as FFTW does.

``plan(..., effort="measure")`` times the algorithms; their times are remembered here and, from then
on, `conv` and ``plan(effort="estimate")`` take the quickest of them for the same problem.  The
printed plan says "(remembered)".  A process reads its user's file before its first plan, and adds
to it after each measuring.

Wisdom is advice only.  It is asked for a problem that is the same in everything that decides speed
(shapes, geometry, dtypes, precision, direction, memory order, number of threads), and it speaks
where it was measured by this npconv, NumPy and Numba on this CPU and has timed every algorithm that
could be the quickest now.  What cannot do the problem, or does not fit in memory_limit, is not
taken.  A file that is damaged, or holds something else, is told of once and changes nothing else.

Notes
-----
The file is `path()`: wisdom.json beside the compiled kernels, or what the variable NPCONV_WISDOM
names; "off" keeps none, and a process then remembers for itself alone.  It is JSON, one problem a
line, at most 10,000 of them, the oldest dropped first.  Reading it takes some 15 ms, and 5 more a
thousand problems; what is forgotten by another process is not written back.
Processes that measure at the same moment do not wait for one another: each adds to what it finds
and replaces the file as a whole, anew if another was quicker; very rarely an entry is lost.

An algorithm that was measured may round otherwise than the one estimated: who needs the same bits
before and after measuring, or on several machines, names the algorithm or forgets the wisdom.

Examples
--------
>>> import npconv, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     number = npconv.wisdom.save(f"{folder}/wisdom.json")
...     loaded = npconv.wisdom.load(f"{folder}/wisdom.json")
>>> loaded.taken + sum(loaded.left.values()) == number
True
"""

from npconv.wisdom.advice import recall, record
from npconv.wisdom.book import Loaded, entries, forget, load, save
from npconv.wisdom.shelf import path
from npconv.wisdom.text import Entry

__all__ = [
    "Entry",
    "Loaded",
    "entries",
    "forget",
    "load",
    "path",
    "recall",
    "record",
    "save",
]
