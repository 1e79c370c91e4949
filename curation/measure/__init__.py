"""What the single pass measures, per clip: every column of `dataset.schema.MEASURES`.

One meter for files, pseudo-videos and generated videos. Each module's docstrings give unit, range and source.
"""

from curation.measure.meter import Meter, measure_frames

__all__ = ["Meter", "measure_frames"]
