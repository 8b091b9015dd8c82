import pytest

from hwsim.errors import unknown


@pytest.mark.parametrize(
    ("value", "count", "message"),
    [
        ("nam1", 3, "unknown thing 'nam1'; did you mean 'name1'?"),
        ("?", 8, "unknown thing '?'; expected one of name0, name1, name2, name3, name4, name5, name6, name7"),
        (
            "?",
            9,
            "unknown thing '?'; expected one of name0, name1, name2, name3, name4, name5, name6, name7 and 1 more",
        ),
    ],
)
def test_unknown_names_the_nearest_or_the_first_few(value, count, message):
    assert unknown("thing", value, [f"name{i}" for i in reversed(range(count))]) == message
