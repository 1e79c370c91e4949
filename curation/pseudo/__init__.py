"""Stills that move: a view that zooms, pans, tilts or rolls over a photograph, sub-pixel, never past its border.

A motion is a path, a list of affine matrices (`media.affine`): one a frame, from the output picture to the still. The
matrices are stored in the row, so that frames can be rendered again at any time and at any size.
"""

from __future__ import annotations

from curation.pseudo.motions import DEPTH_MOTIONS, EASINGS, MOTIONS, Easing, parse
from curation.pseudo.parallax import render_parallax
from curation.pseudo.paths import affines, speed_per_s
from curation.pseudo.rows import clip_id_of, pseudo_clips, render_clip
from curation.pseudo.shake import shaken
from media.affine import Affines, output_size, render

__all__ = [
    "DEPTH_MOTIONS",
    "EASINGS",
    "MOTIONS",
    "Affines",
    "Easing",
    "affines",
    "clip_id_of",
    "output_size",
    "parse",
    "pseudo_clips",
    "render",
    "render_clip",
    "render_parallax",
    "shaken",
    "speed_per_s",
]
