"""Fields: what an interlaced frame is made of, two half pictures of two moments, line by line."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from media.errors import MediaError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["fill_lines", "first_field"]


def first_field(picture: VideoFrame) -> tuple[VideoFrame, bool]:
    """Return the field of `picture` that was taken first, and whether it is the top one.

    The field is a view of the picture's memory: every second line of every plane, so that subsampled chroma is the
    field's own too. PyAV does not tell which field is first; libav's filter knows.
    """
    from av import FFmpegError
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    try:
        source = graph.add_buffer(
            width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1, 1000)
        )
        graph.link_nodes(source, graph.add("separatefields"), graph.add("buffersink")).configure()
        graph.vpush(picture)
        field = graph.vpull()
    except FFmpegError as error:
        raise MediaError("undecodable", f"{picture.format.name} has no fields: {error}") from error
    return field, field.planes[0].buffer_ptr == picture.planes[0].buffer_ptr


def fill_lines(field: npt.NDArray[np.uint8], top: bool, rows: int) -> npt.NDArray[np.uint8]:
    """Rebuild a picture (rows, W, C) from one field (rows // 2, W, C): its lines stay in their places.

    The lines between are the means of their neighbours; at the edges, copies.
    """
    lines = len(field)
    beyond = np.concatenate([field[1:], field[-1:]] if top else [field[:1], field[:-1]])
    picture = np.empty((rows, *field.shape[1:]), np.uint8)
    picture[1 - top : 2 * lines : 2] = field
    picture[top : 2 * lines : 2] = cv2.addWeighted(field, 0.5, beyond, 0.5, 0)
    picture[2 * lines :] = picture[2 * lines - 1]
    return picture
