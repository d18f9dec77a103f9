import damage
import pytest


@pytest.mark.parametrize("door", damage.DOORS, ids=lambda door: door.__name__)
def test_damaged_input_ends_in_one_line_or_does_no_harm(tmp_path, door):
    """A few of the ten thousand that `python tests/endurance.py damage` tries."""
    count = 12 if door is damage.RunFolder else 60
    ends = damage.try_door(door, tmp_path, range(count))
    assert ends[1] > count / 6  # damage was found, where there was any to find
