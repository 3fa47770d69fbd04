"""Validation shared by groups and representations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_equirl._checks import integer, shown

TOLERANCE = 1e-6
"""Relative tolerance for matrix identities: loose enough for float32 input, far below the distance
between two different elements of any group of at most `MAX_ORDER` elements."""

MAX_ORDER = 10_000
"""Largest group that is built by closing a set: its table already holds 10^8 entries."""

LARGEST_INDICES = 1 << 26
"""Numbers in the indices [n, d] of representations made of a few numbers, 512 MB."""


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Marks an array that the caller owns as read-only and returns it."""
    array.setflags(write=False)
    return array


def _as_array(name: str, value: Any, ndim: int) -> NDArray[Any]:
    try:
        array = np.array(value)
    except Exception as error:  # ragged, or too large; or what an object's own conversion raises
        raise ValueError(
            f"`{name}` must be a rectangular array of {ndim} dimensions: {error}. "
            f"Received: {name}={shown(value)}"
        ) from error
    if array.ndim != ndim:
        raise ValueError(
            f"`{name}` must have {ndim} dimensions, not {array.ndim}. "
            f"Received: {name}.shape={array.shape}"
        )
    if array.size == 0:
        raise ValueError(f"`{name}` must not be empty. Received: {name}.shape={array.shape}")
    return array


def integer_array(name: str, value: Any, ndim: int) -> NDArray[np.int64]:
    """Returns a fresh int64 copy of `value`.

    Raises:
        ValueError: If it is empty, ragged, of another rank, or does not hold integers.
    """
    array = _as_array(name, value, ndim)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"`{name}` must hold integers. Received: {name}.dtype={array.dtype}")
    return array.astype(np.int64)


def flag_array(name: str, value: Any) -> NDArray[np.int64]:
    """Returns `value` as a fresh array [rows] of 0 and 1.

    Raises:
        ValueError: If it is empty, of another rank, or holds other than True and False.
    """
    array = _as_array(name, value, ndim=1)
    if array.dtype != bool:
        array = integer_array(name, value, ndim=1)
    if np.any((array != 0) & (array != 1)):
        raise ValueError(
            f"`{name}` must hold True or False. Received: {name}={shown(array.tolist())}"
        )
    return array.astype(np.int64)


def real_array(name: str, value: Any, ndim: int) -> NDArray[np.float64]:
    """Returns a fresh float64 copy of `value`.

    Raises:
        ValueError: If it is empty, ragged, of another rank, not real, or not finite.
    """
    array = _as_array(name, value, ndim)
    is_real = np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)
    if not is_real:
        raise ValueError(f"`{name}` must hold real numbers. Received: {name}.dtype={array.dtype}")
    array = array.astype(np.float64)
    if not np.all(np.isfinite(array)):
        where = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        raise ValueError(f"`{name}` must be finite. Received: {name}{list(where)}={array[where]}")
    return array


def element_index(name: str, value: Any, order: int) -> int:
    """Returns `value` as the index of an element of a group of `order` elements.

    Raises:
        ValueError: If it is not an integer of range(order).
    """
    rule = f"the index of a group element, an integer from 0 to {order - 1}"
    return integer(name, value, 0, order - 1, rule)


def permutation_array(name: str, value: Any) -> NDArray[np.int64]:
    """Returns `value` as a [rows, d] array whose every row is a permutation of range(d).

    Raises:
        ValueError: If a row is not a permutation; the row is named.
    """
    array = integer_array(name, value, ndim=2)
    good = np.all(np.sort(array, axis=1) == np.arange(array.shape[1]), axis=1)
    if not np.all(good):
        row = int(np.argmin(good))
        raise ValueError(
            f"`{name}` must hold one permutation of range({array.shape[1]}) per row. "
            f"Received: {name}[{row}]={shown(array[row].tolist())}"
        )
    return array


def signed_permutation_arrays(
    permutations: Any, signs: Any, order: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns `permutations` and `signs`, all 1 for None, as two fresh arrays [order, d].

    Raises:
        ValueError: If they are malformed.
    """
    p = permutation_array("permutations", permutations)
    check_rows("permutations", p, order)
    s = np.ones_like(p) if signs is None else integer_array("signs", signs, ndim=2)
    if s.shape != p.shape:
        raise ValueError(
            "`signs` must have the shape of `permutations`. "
            f"Received: signs.shape={s.shape}, permutations.shape={p.shape}"
        )
    if np.any(np.abs(s) != 1):
        g, j = np.argwhere(np.abs(s) != 1)[0]
        raise ValueError(f"`signs` must be 1 or -1. Received: signs[{g}, {j}]={s[g, j]}")
    return p, s


def square_matrices(name: str, value: Any) -> NDArray[np.float64]:
    """Returns `value` as a finite real [rows, d, d] array.

    Raises:
        ValueError: If it is not.
    """
    array = real_array(name, value, ndim=3)
    if array.shape[1] != array.shape[2]:
        raise ValueError(f"`{name}` must be square matrices. Received: {name}.shape={array.shape}")
    return array


def check_rows(name: str, array: NDArray[Any], order: int) -> None:
    """Raises a ValueError unless `array` has one row for each of the `order` group elements."""
    if array.shape[0] != order:
        raise ValueError(
            f"`{name}` must have one entry per group element, that is {order}. "
            f"Received: {name}.shape={array.shape}"
        )


def check_homomorphism(
    table: NDArray[np.int64],
    generators: Sequence[int],
    matrices: NDArray[np.float64],
    name: str = "matrices",
) -> None:
    """Checks rho(e) = 1 and rho(g_i) rho(g_j) = rho(g_i g_j).

    Only pairs (generator, any element) are tried, which is enough: every g is a word s_1 ... s_k in
    the generators (in a finite group inverses are positive powers), so
    rho(g h) = rho(s_1) rho(s_2 ... s_k h) = ... = rho(s_1) ... rho(s_k) rho(h), and with h = e that
    product is rho(g). Invertibility follows: rho(g) rho(g^-1) = rho(e) = 1.

    Raises:
        ValueError: Naming the pair with the largest deviation.
    """
    deviation = np.abs(matrices[0] - np.eye(matrices.shape[1])).max()
    if deviation > TOLERANCE:
        raise ValueError(
            f"`{name}` must map the identity (element 0) to the identity matrix; the largest "
            f"deviation is {deviation:.3g}. "
            f"Received: {name}[0]={shown(matrices[0].tolist())}"
        )
    # A product of two matrices carries the rounding of both factors.
    allowed = TOLERANCE * max(1.0, float(np.abs(matrices).max())) ** 2
    worst, pair = 0.0, (0, 0)
    for i in generators:
        deviations = np.abs(matrices[i] @ matrices - matrices[table[i]]).max(axis=(1, 2))
        j = int(np.argmax(deviations))
        if deviations[j] > worst:
            worst, pair = float(deviations[j]), (i, j)
    if worst > allowed:
        i, j = pair
        raise ValueError(
            f"`{name}` is not a homomorphism: {name}[{i}] @ {name}[{j}] must equal "
            f"{name}[{table[i, j]}], because g_{i} g_{j} = g_{table[i, j]}; over the pairs tried "
            f"(generator, element) the largest deviation is {worst:.3g}, at the pair ({i}, {j}). "
            f"Received: {name}[{i}]={shown(matrices[i].tolist())}, "
            f"{name}[{j}]={shown(matrices[j].tolist())}"
        )


def check_signed_homomorphism(
    table: NDArray[np.int64],
    generators: Sequence[int],
    permutations: NDArray[np.int64],
    signs: NDArray[np.int64],
) -> None:
    """The check of `check_homomorphism`, exact and without matrices, for signed permutations.

    With rho(g) e_j = signs[g][j] e_{p[g][j]}, the law reads p[gh][j] = p[g][p[h][j]] and
    signs[gh][j] = signs[g][p[h][j]] signs[h][j].

    Raises:
        ValueError: Naming the first pair that fails.
    """
    if not (
        np.array_equal(permutations[0], np.arange(permutations.shape[1])) and signs[0].min() > 0
    ):
        raise ValueError(
            "element 0 is the identity and must leave every coordinate where it is. Received: "
            f"permutations[0]={shown(permutations[0].tolist())}, "
            f"signs[0]={shown(signs[0].tolist())}"
        )
    for i in generators:
        product = table[i]
        moved = permutations[i][permutations] != permutations[product]
        flipped = signs[i][permutations] * signs != signs[product]
        failing = np.any(moved | flipped, axis=1)
        if np.any(failing):
            j = int(np.argmax(failing))
            deviation = 2 if np.any(flipped[j] & ~moved[j]) else 1
            raise ValueError(
                f"the signed permutations are not a homomorphism: that of g_{i} after that of "
                f"g_{j} must equal that of g_{product[j]} = g_{i} g_{j}; the pair ({i}, {j}) "
                f"fails, with largest deviation {deviation} between the matrices. Received: "
                f"permutations[{i}]={shown(permutations[i].tolist())}, "
                f"signs[{i}]={shown(signs[i].tolist())}, "
                f"permutations[{j}]={shown(permutations[j].tolist())}, "
                f"signs[{j}]={shown(signs[j].tolist())}"
            )


def config_value(owner: str, config: Any, key: str) -> Any:
    """Returns `config[key]`.

    Raises:
        ValueError: If `config` is not a dict with that key.
    """
    if not isinstance(config, Mapping) or key not in config:
        received = sorted(config, key=shown) if isinstance(config, Mapping) else config
        raise ValueError(
            f"`config` of {owner} must be a dict with the key {key!r}. "
            f"Received: config={shown(received)}"
        )
    return config[key]
