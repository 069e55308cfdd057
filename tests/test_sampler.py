"""Which images a global batch holds: a function of (seed, iteration), shared out among processes."""

import numpy as np
import pytest

from workflow_scripts.models.seeds import key
from workflow_scripts.training.sampler import GlobalBatches, ProcessShare

WIDE = [number % 3 > 0 for number in range(50)]


def test_an_epoch_shows_no_image_twice_and_leaves_out_less_than_a_batch():
    batches = GlobalBatches(WIDE, batch=8, seed=0)
    assert batches.batches_per_epoch == 6
    for epoch in range(3):
        seen = np.concatenate([batches.indices(epoch * 6 + number) for number in range(6)])
        assert len(set(seen)) == 48


def test_images_of_a_batch_share_an_orientation_but_for_the_left_overs():
    """Of 30 wide and 20 high images, whole batches take 24 and 16; one of 8 is made of the 6 and 4 that are left."""
    wide = np.asarray([number % 12 < 7 for number in range(50)])
    assert wide.sum() == 30
    batches = GlobalBatches(wide, batch=8, seed=0)
    mixed_at = set()
    for epoch in range(10):
        shown = [wide[batches.indices(6 * epoch + number)].sum() for number in range(6)]
        (mixed,) = [number for number, count in enumerate(shown) if count not in (0, 8)]
        assert sorted(shown[:mixed] + shown[mixed + 1 :]) == [0, 0, 8, 8, 8]
        assert 4 <= shown[mixed] <= 6
        mixed_at.add(mixed)
    assert len(mixed_at) > 2, "batches are shuffled, too"


def test_epochs_and_seeds_differ_and_repeat():
    first = GlobalBatches(WIDE, batch=8, seed=0)
    assert not np.array_equal(first.indices(0), first.indices(6))
    assert not np.array_equal(first.indices(0), GlobalBatches(WIDE, batch=8, seed=1).indices(0))
    assert np.array_equal(first.indices(100), GlobalBatches(WIDE, batch=8, seed=0).indices(100))


def test_a_set_smaller_than_a_batch_fills_it():
    batches = GlobalBatches([True] * 3, batch=8, seed=0)
    assert batches.indices(5).shape == (8,)
    assert set(batches.indices(5)) == {0, 1, 2}


@pytest.mark.parametrize("processes", [1, 2, 4, 8])
def test_processes_share_out_the_same_global_batches(processes):
    batches = GlobalBatches(WIDE, batch=8, seed=0)
    shares = [list(ProcessShare(batches, 8, 5, 9, rank, processes)) for rank in range(processes)]
    for step, iteration in enumerate(range(5, 9)):
        draws = [draw for share in shares for draw in share[step]]
        expected = [(iteration, position, index) for position, index in enumerate(batches.indices(iteration))]
        assert draws == expected


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="8 images does not divide among 3"):
        ProcessShare(GlobalBatches(WIDE, batch=8, seed=0), 8, 0, 1, 0, 3)


def test_keys_are_distinct():
    keys = {key(seed, "anchors", iteration, 0) for seed in range(10) for iteration in range(100)}
    assert len(keys) == 1000
    assert key(0, "anchors", 1, 2) != key(0, "anchors", 12)


def test_a_key_stays_what_it_was():
    """Else what was saved would go on with other draws. As coreutils has it: `printf 7/epoch/3 | b2sum -l 64`."""
    assert key(7, "epoch", 3) == int.from_bytes(bytes.fromhex("1c17764bc3c745a2"), "little") // 2
