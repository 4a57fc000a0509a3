"""The codebook: vector quantisation with a straight-through gradient (van den Oord et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.errors import ConfigError
from vqlso.portions import Portion, portion_of

CodebookUpdate = Literal["gradient", "ema"]

EMA_DECAY = 0.99
EMA_EPSILON = 1e-5
# Shares of what equal use of all codes would give each. A fresh code starts with little weight in
# its running mean, so that it moves to its data quickly and, unused, falls below the second share
# (it is dead) after about 110 steps.
START_SHARE = 0.03
DEAD_SHARE = 0.01
LLOYD_STEPS = 10


@dataclass(frozen=True)
class CodebookSettings:
    """How the codebook learns.

    Attributes:
        update: "gradient" minimises ||sg(e(x)) - E||^2 as in the paper's equation; "ema" keeps
            running means of the encoder outputs assigned to each code (van den Oord et al. 2017,
            appendix A.1).
        data_init: start from k-means centres of the first batch's encoder outputs.
        revival: replace codes that are hardly used by random encoder outputs.

    Raises:
        ConfigError: an unknown update.
    """

    update: CodebookUpdate = "ema"
    data_init: bool = True
    revival: bool = True

    def __post_init__(self) -> None:
        if self.update not in get_args(CodebookUpdate):
            raise ConfigError(
                f"A codebook is updated by one of {', '.join(get_args(CodebookUpdate))}; "
                f"got '{self.update}'."
            )


class Quantized(NamedTuple):
    """What quantisation gives: (n, D, h, w) vectors, (n, h, w) codes and the two scalar losses."""

    vectors: Tensor
    codes: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor


class VectorQuantizer(nn.Module):
    """K vectors of dimension D; each encoder output is replaced by its nearest one.

    Args:
        categories: K.
        dimension: D.
        settings: how the codebook learns.
    """

    embedding: Tensor
    usage: Tensor
    sums: Tensor
    initialised: Tensor

    def __init__(self, categories: int, dimension: int, settings: CodebookSettings) -> None:
        super().__init__()
        self.settings = settings
        start = torch.empty(categories, dimension).uniform_(-1 / categories, 1 / categories)
        if settings.update == "gradient":
            self.embedding = nn.Parameter(start)
        else:
            self.register_buffer("embedding", start)
        # `usage` and `sums` are running averages per batch of the number of assigned encoder
        # outputs and of their sum; their ratio is the code (appendix A.1, eq. 6-8).
        self.register_buffer("usage", torch.zeros(categories))
        self.register_buffer("sums", torch.zeros(categories, dimension))
        self.register_buffer("initialised", torch.tensor(not settings.data_init))

    def forward(self, encoded: Tensor) -> Quantized:
        """(n, D, h, w) encoder outputs -> their nearest codes, straight through for gradients."""
        n, dimension, height, width = encoded.shape
        flat = encoded.float().permute(0, 2, 3, 1).reshape(-1, dimension)
        cells = portion_of(n).cut(height * width)
        if self.training and not self.initialised:
            self._initialise(flat.detach(), cells)
        codes = self.nearest(flat)
        # Looked up before the codebook moves: a code revived at this very step would otherwise
        # hand its rows a vector from elsewhere.
        vectors = self.lookup(codes.view(n, height, width))
        if self.training:
            self._observe(flat.detach(), codes, cells)
        codebook_loss = F.mse_loss(vectors, encoded.detach().float())
        commitment_loss = F.mse_loss(encoded.float(), vectors.detach())
        through = encoded + (vectors - encoded).detach()
        return Quantized(through, codes.view(n, height, width), codebook_loss, commitment_loss)

    def nearest(self, flat: Tensor) -> Tensor:
        """(m, D) float32 -> (m,) int64 index of the nearest code (paper 003, section 2.1)."""
        return _nearest(flat, self.embedding)

    def lookup(self, codes: Tensor) -> Tensor:
        """(n, h, w) codes -> (n, D, h, w) float32 vectors."""
        return F.embedding(codes, self.embedding).permute(0, 3, 1, 2)

    @torch.no_grad()
    def _initialise(self, flat: Tensor, cells: Portion) -> None:
        batch = cells.pick(flat, torch.arange(cells.whole, device=flat.device))
        self.embedding.copy_(cells.agreed(_kmeans(batch, len(self.embedding))))
        self.initialised.fill_(True)

    @torch.no_grad()
    def _observe(self, flat: Tensor, codes: Tensor, cells: Portion) -> None:
        K = len(self.embedding)
        counts = cells.sum(torch.bincount(codes, minlength=K).float())
        sums = cells.sum(torch.zeros_like(self.sums).index_add_(0, codes, flat))
        if not self.usage.any():
            # The running means start from the codes as they are, not from zero.
            self.usage.fill_(START_SHARE * cells.whole / K)
            self.sums.copy_(self.embedding * self.usage[:, None])
        self.usage.mul_(EMA_DECAY).add_(counts, alpha=1 - EMA_DECAY)
        self.sums.mul_(EMA_DECAY).add_(sums, alpha=1 - EMA_DECAY)
        if self.settings.update == "ema":
            total = self.usage.sum()
            smoothed = (self.usage + EMA_EPSILON) / (total + K * EMA_EPSILON) * total
            self.embedding.copy_(self.sums / smoothed[:, None])
        if self.settings.revival:
            self._revive(flat, cells)

    def _revive(self, flat: Tensor, cells: Portion) -> None:
        K = len(self.embedding)
        dead = self.usage < DEAD_SHARE * cells.whole / K
        if not dead.any():
            return
        number = int(dead.sum())
        chosen = cells.pick(flat, torch.randint(cells.whole, (number,), device=flat.device))
        self.embedding[dead] = chosen
        self.usage[dead] = START_SHARE * cells.whole / K
        self.sums[dead] = chosen * self.usage[dead, None]


def _kmeans(points: Tensor, centres: int) -> Tensor:
    """A few Lloyd steps from random points: enough to spread the codes over the data."""
    picks = torch.randperm(len(points), device=points.device)[:centres]
    means = points[picks].clone()
    if len(picks) < centres:
        repeats = torch.randint(len(points), (centres - len(picks),), device=points.device)
        means = torch.cat([means, points[repeats]])
    for _ in range(LLOYD_STEPS):
        assigned = _nearest(points, means)
        counts = torch.bincount(assigned, minlength=centres)
        sums = torch.zeros_like(means).index_add_(0, assigned, points)
        filled = counts > 0
        means[filled] = sums[filled] / counts[filled, None]
    return means


@torch.no_grad()
def _nearest(points: Tensor, centres: Tensor) -> Tensor:
    """(m, D) and (c, D) float32 -> (m,) int64, the nearest centre of each point."""
    # Training runs under autocast, whose bf16 product confuses neighbouring codes.
    with torch.autocast(points.device.type, enabled=False):
        # Squared distances but for the points' own norms, which do not change the order.
        distances = centres.square().sum(1) - 2 * points @ centres.t()
    return distances.argmin(1)


def perplexity(codes: Tensor, categories: int) -> float:
    """Effective number of codes in use, exp of the entropy of their frequencies; 1..K."""
    frequency = torch.bincount(codes.flatten(), minlength=categories).double()
    frequency = frequency / frequency.sum()
    entropy = -torch.special.xlogy(frequency, frequency).sum()
    return float(entropy.exp())
