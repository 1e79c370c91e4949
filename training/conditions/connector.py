"""A connector from any text encoder to a denoiser: learned queries that read the caption, differently at each time.

ELLA's timestep-aware semantic connector (Hu et al. 2024, section 3.1), with what the published code lacks: padding is
masked, so a caption's states are the same whatever it is batched with.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.inputs import Text
from training.models.layers import Attention, sinusoid, zeroed
from training.recipes.models import ConnectorConfig

__all__ = ["Connector"]


class _TimedNorm(nn.Module):
    """LayerNorm whose scale and shift come from the time; a plain one at the start (adaLN-zero)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = zeroed(nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.modulate(F.silu(time))[:, None].chunk(2, -1)
        out: Tensor = self.norm(x) * (1.0 + scale) + shift
        return out


class _Block(nn.Module):
    """Queries attend to [queries; text], then a squared-ReLU MLP; both are added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_queries, self.norm_text, self.norm_feed = (_TimedNorm(width) for _ in range(3))
        self.attend = Attention(width, heads)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, text: Tensor, mask: Tensor, time: Tensor) -> Tensor:
        queries = self.norm_queries(x, time)
        x = x + self.attend(queries, torch.cat([queries, self.norm_text(text, time)], 1), mask)
        out: Tensor = x + self.down(F.relu(self.up(self.norm_feed(x, time))).square())
        return out


class Connector(nn.Module):
    """Map token states of any width and number to a fixed number of states of a fixed width."""

    def __init__(self, text_dim: int, config: ConnectorConfig) -> None:
        super().__init__()
        width = config.width
        self.width = width
        self.queries = nn.Parameter(torch.randn(config.queries, width) * width**-0.5)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.project_in = nn.Linear(text_dim, width)
        self.blocks = nn.ModuleList(_Block(width, config.heads) for _ in range(config.blocks))
        self.norm_out, self.project_out = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, text: Text, t: Tensor) -> Text:
        """Map states f32[B, L, D] at times f32[B] in 0..1 to f32[B, queries, width], none of them padding."""
        time = self.time(sinusoid(1000.0 * t, self.width))
        x = self.queries.expand(len(t), -1, -1)
        seen = F.pad(text.mask, (len(self.queries), 0), value=True)
        states = self.project_in(text.tokens)
        for block in self.blocks:
            x = block(x, states, seen, time)
        out = self.project_out(self.norm_out(x))
        return Text(out, torch.ones(out.shape[:2], dtype=torch.bool, device=out.device))
