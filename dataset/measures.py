"""The columns of `clips` that the single pass fills."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from dataset.fields import Column

__all__ = ["MEASURES"]

_f32, _i32, _str = pa.float32(), pa.int32(), pa.string()

MEASURES: Final = (
    Column("flow_mean_px_per_s", _f32, "mean optical flow (DIS), pixels per second at a height of 360 px"),
    Column("flow_min_px_per_s", _f32, "least mean flow of a sampled pair"),
    Column("flow_p50_px_per_s", _f32, "median over sampled pairs of the mean flow"),
    Column("flow_p95_px_per_s", _f32, "95th percentile over sampled pairs of the mean flow"),
    Column("flow_max_px_per_s", _f32, "greatest mean flow of a sampled pair"),
    Column("moving_fraction", _f32, "share of pixels whose flow exceeds 6 px/s at 360 px, mean over pairs"),
    Column("moving_fraction_max", _f32, "the same, of the pair in which most moves"),
    Column("object_motion_px_per_s", _f32, "mean flow left after the global camera model is removed, at 360 px"),
    Column("object_motion_p95_px_per_s", _f32, "the same, 95th percentile over sampled pairs"),
    Column(
        "camera_motion",
        _str,
        "static | pan left | pan right | tilt up | tilt down | zoom in | zoom out | roll left | roll right | handheld",
    ),
    Column("camera_confidence", _f32, "share of the sampled pairs that agree with camera_motion, 0 to 1"),
    Column("camera_dx_fraction_per_s", _f32, "camera translation to the right, frame widths per second"),
    Column("camera_dy_fraction_per_s", _f32, "camera translation downwards, frame heights per second"),
    Column("camera_zoom_per_s", _f32, "log2 of the scale per second; positive is zooming in"),
    Column("camera_roll_deg_per_s", _f32, "clockwise roll of the camera"),
    Column("flicker", _f32, "mean absolute change of the static part of the picture, 8-bit levels"),
    Column("flicker_max", _f32, "the same, of the pair that flickers most"),
    Column("frozen_fraction", _f32, "share of frames that repeat the frame before"),
    Column(
        "jump_ratio",
        _f32,
        "greatest change between neighbouring decoded frames over the median change (at least 1 level); high where "
        "frames are missing or a cut was missed",
    ),
    Column("sharpness_laplacian", _f32, "variance of the Laplacian of luma at a height of 360 px"),
    Column("sharpness_laplacian_min", _f32, "the same, of the softest frame looked at"),
    Column("sharpness_laplacian_max", _f32, "the same, of the sharpest frame looked at"),
    Column("sharpness_tenengrad", _f32, "mean squared Sobel gradient of luma at a height of 360 px"),
    Column("noise_sigma", _f32, "noise standard deviation, 8-bit levels (Immerkaer 1996)"),
    Column("blockiness", _f32, "gradient across 8-px block edges over the gradient elsewhere; 1 is none"),
    Column("dark_clipped_fraction", _f32, "share of pixels at luma <= 16"),
    Column("bright_clipped_fraction", _f32, "share of pixels at luma >= 235"),
    Column("luma_mean", _f32, "mean luma, 0 to 255"),
    Column("luma_min", _f32, "mean luma of the darkest frame looked at"),
    Column("luma_max", _f32, "mean luma of the brightest frame looked at"),
    Column("contrast_rms", _f32, "standard deviation of luma, 8-bit levels"),
    Column("colourfulness", _f32, "Hasler and Suesstrunk 2003, M3"),
    Column("saturation_mean", _f32, "mean chroma distance from grey, 8-bit levels"),
    Column("warmth", _f32, "mean Cr minus mean Cb, 8-bit levels; positive is warm"),
    Column("spatial_information", _f32, "ITU-T P.910 SI: maximum over frames of the Sobel deviation"),
    Column(
        "temporal_information",
        _f32,
        "ITU-T P.910 TI: maximum over neighbouring decoded frames of the difference deviation",
    ),
    Column("entropy_bits", _f32, "mean Shannon entropy of the luma histogram, bits"),
    Column("border_left_px", _i32, "black border, source pixels"),
    Column("border_top_px", _i32, "black border, source pixels"),
    Column("border_right_px", _i32, "black border, source pixels"),
    Column("border_bottom_px", _i32, "black border, source pixels"),
    Column(
        "subtitle_band_px",
        _i32,
        "height of a band of still writing at the bottom of a moving picture, source pixels; 0 is none",
    ),
    Column("crop_x_px", _i32, "left edge of the picture without borders and subtitles, upright source pixels"),
    Column("crop_y_px", _i32, "top edge of it"),
    Column("crop_width_px", _i32, "width of it; light, colour, sharpness and motion are measured inside"),
    Column("crop_height_px", _i32, "height of it"),
    Column("static_overlay_fraction", _f32, "share of the picture that keeps still, with edges, while the rest moves"),
)
"""What the single pass measures, per clip; rules in SQL speak of these names."""
