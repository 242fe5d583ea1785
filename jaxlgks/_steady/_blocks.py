"""The block of the generator that holds the populations: secular equations with degenerate or clustered levels.

Enters: a system whose levels are known. Leaves: its steady state, from Σ n_c² unknowns, n_c the sizes of the levels.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._equations import AbstractEquation, counted
from .._generator import Partition, block_generator, find_partition
from .._system import System
from ..errors import NoPartitionError
from ._base import AbstractSolver, Found
from ._dense import found


class Blocks(AbstractSolver):
    """LU of the block of populations and of those coherences that they move, for `Davies` and `Unified`.

    Memory O((Σ n_c²)²) and O(d²), n_c the number of states of each level (or cluster). Differentiable in temperatures,
    strengths and couplings, not in H: which elements share a block is seen from the levels, which must be known.

    **Arguments:** `refine`: steps of refinement. (`partition` is found, not given.)

    **Raises:** `NoPartitionError` (a `SolverError`), whatever `throw` is, for other equations, where H is traced, or
    where blocks are no smaller than the whole.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    ladder = jnp.diag(jnp.repeat(jnp.arange(5.0), 2))                 # five levels of two states
    coupling = jnp.ones((10, 10)) + jnp.diag(jnp.arange(10.0))
    system = lgks.System(ladder, lgks.Bath(coupling, 1.0, lgks.DrudeLorentz(0.01, 2.0)))
    lgks.steady_state(system, solver=lgks.Blocks()).solver
    ```
    """

    refine: int = eqx.field(static=True, default=1)
    partition: Partition | None = None
    name: ClassVar[str] = "blocks"

    def admit(self, system: System, equation: AbstractEquation) -> tuple[AbstractSolver, AbstractEquation]:
        """With the partition of the elements; `NoPartitionError` if there is none."""
        partition = find_partition(system, equation, above=1)
        if partition is None:
            # There is nothing to return instead, so `throw=False` does not silence it.
            raise NoPartitionError(
                f"Blocks: no blocks are known for {type(equation).__name__} here. The solver is for Davies and "
                "Unified, where H is known (not traced) and its frequencies fall into groups. Use Dense()."
            )
        return Blocks(self.refine, partition), counted(equation, system)

    def find(self, system: System, equation: AbstractEquation) -> Found:
        """The steady state from the pinned block."""
        assert self.partition is not None
        L = block_generator(system, equation, self.partition)
        where, dim = self.partition.positions[0][0], system.dim

        def as_matrix(x: Array) -> Array:
            return jnp.zeros(dim * dim, x.dtype).at[where].set(x).reshape(dim, dim)

        return found(L, as_matrix, L.matrices[0][0], L.populations, self.refine)
