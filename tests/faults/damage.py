"""Damage to files, as hypothesis makes it up; the same at every run."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st


def thorough(examples):
    """Settings to try so many examples."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # to find the smallest damage would take minutes
        suppress_health_check=list(HealthCheck),
    )


# Where in a file, what is done there, and with which bytes.
damages = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["flip", "write", "insert", "remove", "cut", "repeat"]),
        st.binary(min_size=1, max_size=16),
    ),
    min_size=1,
    max_size=4,
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([10**400, -1, 0, 2**31, 10**9, 1e308, 5e-324, "../x", "<b>", "[/red]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def damaged(content, damage):
    """The bytes of a file after some damage."""
    content = bytearray(content)
    for share, what, data in damage:
        at = int(share * len(content))
        if what == "flip" and content:
            content[at] ^= 1 << data[0] % 8
        elif what == "write":
            content[at : at + len(data)] = data
        elif what == "insert":
            content[at:at] = data
        elif what == "remove":
            del content[at : at + len(data)]
        elif what == "cut":
            del content[at:]
        elif what == "repeat":
            content[at:at] = content[at : at + 64 * len(data)]
    return bytes(content)


def paths(value, path=()):
    """Paths to all values in nested dicts and lists."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*path, key))


def replaced(value, path, by):
    """Nested dicts and lists with another value in one place."""
    if not path:
        return by
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy
