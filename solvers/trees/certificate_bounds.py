"""An instance's objective, rebuilt from its trees leaf by leaf, and bounds on it in boxes.

Whatever the numbers lambda are, over choices x of the free cells

    objective(x) = constant + sum_i theta_i(x_i) + sum_f R_f(x_f),
    theta_i = U_i + sum_f lambda_fi,    R_f = T_f - sum_i lambda_fi,

where U_i is what depends on cell i alone, and T_f on the two or three cells of scope f. In a box,
a set of choices for each cell, the sum of all maxima bounds the objective (Werner, IEEE
Transactions on Pattern Analysis and Machine Intelligence 29(7), 2007).

Nothing of the engines is used here, nor compiled code but the rule by which trees branch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvers.trees.instance import Instance
from vqlso.errors import VerificationError


class Product(NamedTuple):
    """weight times, for each of a few cells, a number per choice: 1 or 0 for a leaf."""

    weight: float
    numbers: Mapping[int, NDArray[np.float64]]


class Scope(NamedTuple):
    """Cells, in ascending order, and lambda (choices,) of each."""

    cells: tuple[int, ...]
    shifts: tuple[NDArray[np.float64], ...]


class Factor(NamedTuple):
    """R_f: a table over classes of choices, minus shifts.

    Attributes:
        scope: cells and shifts.
        classes: of each cell, (choices,) int64.
        table: (classes of the first cell, ...).
    """

    scope: Scope
    classes: tuple[NDArray[np.int64], ...]
    table: NDArray[np.float64]

    def within(
        self, choices: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float64], list[NDArray[np.int64]], list[NDArray[np.float64]]]:
        """The largest R_f of each combination of classes in a box.

        With it the classes of each cell that are in the box, and the least shift of each.
        """
        kept, least = [], []
        for axis, (cell, shifts) in enumerate(zip(*self.scope, strict=True)):
            lowest = np.full(self.table.shape[axis], np.inf)
            inside = choices[cell]
            np.minimum.at(lowest, self.classes[axis][inside], shifts[inside])
            kept.append(np.flatnonzero(lowest < np.inf))
            least.append(lowest[kept[-1]])
        table = self.table[np.ix_(*kept)]
        for axis, lowest in enumerate(least):
            table = table - np.expand_dims(lowest, [a for a in range(table.ndim) if a != axis])
        return table, kept, least


class Box(NamedTuple):
    """A set of choices for each cell, and what they allow at most.

    Attributes:
        choices: per cell, ascending.
        own: (t,) the maxima of theta.
        joint: (F,) the maxima of R.
    """

    choices: tuple[NDArray[np.int64], ...]
    own: NDArray[np.float64]
    joint: NDArray[np.float64]


class Objective:
    """constant + sum of theta + sum of R.

    Args:
        instance: whose objective it is.
        products: all that `terms` found in it.
        scopes: products of several cells join the smallest scope that holds their cells, the
            first of equal ones, or else one of their own without shifts.

    Attributes:
        constant, theta, factors: the parts.
        rounding: no point's value, and no bound, is off by more, because sums are in float64.
    """

    def __init__(
        self, instance: Instance, products: Sequence[Product], scopes: Sequence[Scope]
    ) -> None:
        sizes = [len(domain) for domain in instance.domains]
        self.constant = instance.ensemble.base + instance.constant
        self.theta = [unary.astype(np.float64) for unary in instance.unary]
        joint: dict[tuple[int, ...], list[Product]] = {}
        for product in products:
            cells = tuple(sorted(product.numbers))
            if not cells:
                self.constant += product.weight
            elif len(cells) == 1:
                self.theta[cells[0]] += product.weight * product.numbers[cells[0]]
            else:
                joint.setdefault(cells, []).append(product)
        all_scopes, home = _homes(joint, scopes, sizes)
        members: list[list[Product]] = [[] for _ in all_scopes]
        for cells, those in joint.items():
            members[home[cells]] += those
        self.factors = [_factor(s, those) for s, those in zip(all_scopes, members, strict=True)]
        for scope in all_scopes:
            for cell, shifts in zip(*scope, strict=True):
                self.theta[cell] += shifts
        self._touching = [
            [f for f, factor in enumerate(self.factors) if cell in factor.scope.cells]
            for cell in range(len(sizes))
        ]
        self.rounding = self._rounding(instance)

    def _rounding(self, instance: Instance) -> float:
        """Error of a recursive sum: at most n eps times the sum of sizes (Higham 2002, ch. 4).

        At a point one leaf of each tree counts, and products with 0 are exact.
        """
        n_trees, pairs = instance.ensemble.n_trees, instance.side.pairs
        size = abs(instance.ensemble.base) + abs(instance.constant)
        size += n_trees * float(np.abs(instance.ensemble.value).max(initial=0.0))
        size += sum(float(np.abs(unary).max()) for unary in instance.unary)
        size += sum(float(np.abs(pair.values).max()) for pair in pairs)
        for factor in self.factors:
            size += float(np.abs(factor.table).max())
            size += 2 * sum(float(np.abs(shifts).max()) for shifts in factor.scope.shifts)
        steps = n_trees + len(pairs) + 2 * len(instance.domains) + 8 * len(self.factors) + 4
        return float(np.finfo(np.float64).eps) * steps * size

    def whole(self) -> Box:
        """The box of all points."""
        choices = tuple(np.arange(len(own)) for own in self.theta)
        joint = [factor.within(choices)[0].max() for factor in self.factors]
        return Box(choices, np.array([own.max() for own in self.theta]), np.array(joint))

    def restricted(self, box: Box, cell: int, choices: NDArray[np.int64]) -> Box:
        """The part of a box in which a cell takes one of these choices, at least one."""
        inside = (*box.choices[:cell], choices, *box.choices[cell + 1 :])
        own, joint = box.own.copy(), box.joint.copy()
        own[cell] = self.theta[cell][choices].max()
        for f in self._touching[cell]:
            joint[f] = self.factors[f].within(inside)[0].max()
        return Box(inside, own, joint)

    def bound(self, box: Box) -> float:
        """No point in the box has a higher objective, but for rounding."""
        return float(self.constant + box.own.sum() + box.joint.sum())


def terms(instance: Instance) -> Iterator[Product]:
    """All leaves, and the rows of all pair tables.

    Raises:
        VerificationError: a threshold lies within an interval that is one choice.
    """
    ensemble = instance.ensemble
    cell_of = {int(feature): cell for cell, feature in enumerate(instance.free)}
    # A fixed feature has one choice, which is the whole of its domain.
    values = {f: np.array([[value]]) for f, value in enumerate(instance.reference)}
    for feature, cell in cell_of.items():
        domain = instance.domains[cell]
        values[feature] = np.array([domain.values, domain.lower, domain.upper])
    nodes: list[tuple[int, dict[int, NDArray[np.bool_]]]]
    nodes = [(int(root), {}) for root in ensemble.roots]
    while nodes:
        node, sets = nodes.pop()
        feature = int(ensemble.feature[node])
        if feature < 0:
            members = {cell_of[f]: s.astype(float) for f, s in sets.items() if not s.all()}
            yield Product(float(ensemble.value[node]), members)
            continue
        left = ensemble.goes_left(np.full(values[feature].shape, node), values[feature])
        if (left != left[0]).any():
            raise VerificationError(f"A threshold tears an interval of feature {feature}.")
        for child, goes in ((ensemble.left[node], left[0]), (ensemble.right[node], ~left[0])):
            reaching = goes & sets.get(feature, np.array(True))
            if reaching.any():
                nodes.append((int(child), {**sets, feature: reaching}))
    for pair in instance.side.pairs:
        for choice, row in enumerate(pair.values):
            one = np.zeros(len(pair.values))
            one[choice] = 1.0
            yield Product(1.0, {pair.first: one, pair.second: row})


def _homes(
    joint: Mapping[tuple[int, ...], list[Product]], scopes: Sequence[Scope], sizes: Sequence[int]
) -> tuple[list[Scope], dict[tuple[int, ...], int]]:
    """All scopes, and the one that each combination of cells joins."""
    home: dict[tuple[int, ...], int] = {}
    for number in sorted(range(len(scopes)), key=lambda number: len(scopes[number].cells)):
        cells = scopes[number].cells
        for width in range(2, len(cells) + 1):
            for part in combinations(cells, width):
                home.setdefault(part, number)
    everything = list(scopes)
    for cells in joint:
        if cells not in home:
            home[cells] = len(everything)
            everything.append(Scope(cells, tuple(np.zeros(sizes[cell]) for cell in cells)))
    return everything, home


def _factor(scope: Scope, products: Sequence[Product]) -> Factor:
    """The sum of the products as a table over the choices that they tell apart."""
    classes, distinct = [], []
    for cell, shifts in zip(*scope, strict=True):
        everywhere = np.ones(len(shifts))
        columns = [everywhere, *(p.numbers.get(cell, everywhere) for p in products)]
        numbers = np.ascontiguousarray(np.array(columns).T)
        # Compared as bytes: many times faster than number by number.
        keys = numbers.view(np.dtype((np.void, numbers.shape[1] * numbers.itemsize))).ravel()
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        classes.append(inverse.ravel())
        distinct.append(numbers[first])
    table = np.array([[0.0, *(product.weight for product in products)]])
    for numbers in distinct[:-1]:
        table = (table[:, None] * numbers).reshape(-1, table.shape[1])
    shape = [len(numbers) for numbers in distinct]
    return Factor(scope, tuple(classes), (table @ distinct[-1].T).reshape(shape))
