"""The grids of tensors: which tensors share one."""

import dataclasses

import keras


@dataclasses.dataclass(eq=False)
class SharedGrid:
    """One grid of codes, and the tensors that are rounded to it: its sites.

    Attributes:
        name: of the operation that writes the first of them.
        fixed: the range, where it is not calibrated.
        num_bits: bits of a code.
        sites: the tensors.
    """

    name: str
    fixed: tuple[float, float] | None = None
    num_bits: int = 8
    sites: list[keras.KerasTensor] = dataclasses.field(default_factory=list)


class SharedGrids:
    """The grid of each tensor; joining two grids makes them one (union-find)."""

    def __init__(self) -> None:
        self._grids: dict[int, SharedGrid] = {}
        self._joined: dict[int, SharedGrid] = {}
        self._made: list[SharedGrid] = []
        self._shared: dict[str, SharedGrid] = {}

    def new(
        self,
        tensor: keras.KerasTensor,
        name: str,
        num_bits: int,
        fixed: tuple[float, float] | None = None,
        shared: str = "",
    ) -> None:
        """Gives a tensor a grid of its own, or that of the tensors that came with the same `shared`."""
        if shared in self._shared:
            grid = self._shared[shared]
            grid.sites.append(tensor)
            grid.name, grid.fixed = name, grid.fixed or fixed
            self._grids[id(tensor)] = grid
            return
        grid = SharedGrid(name, fixed, num_bits, [tensor])
        if shared:
            self._shared[shared] = grid
        self._made.append(grid)
        self._grids[id(tensor)] = grid

    def put(self, tensor: keras.KerasTensor, grid: SharedGrid, is_site: bool) -> None:
        """Puts a tensor on a grid; `is_site` says whether it is rounded to it."""
        self._grids[id(tensor)] = grid
        if is_site:
            grid.sites.append(tensor)

    def of(self, tensor: keras.KerasTensor) -> SharedGrid | None:
        """The grid of a tensor, if it has one."""
        grid = self._grids.get(id(tensor))
        while grid is not None and id(grid) in self._joined:
            grid = self._joined[id(grid)]
        return grid

    def join(self, tensors: list[keras.KerasTensor]) -> SharedGrid | None:
        """One grid for all tensors; None where TFLite fixes the grid of one of them."""
        grids = list({id(grid): grid for grid in map(self.of, tensors) if grid is not None}.values())
        if len(grids) > 1 and any(grid.fixed for grid in grids):
            return None
        for other in grids[1:]:
            grids[0].sites.extend(other.sites)
            self._joined[id(other)] = grids[0]
        return grids[0] if grids else None

    def final(self) -> tuple[SharedGrid, ...]:
        """The grids that are left, in the order in which they were made."""
        return tuple(grid for grid in self._made if id(grid) not in self._joined)
